/* A QEMU plugin that counts what an emulated processor executes: instructions and memory accesses, as two 64-bit
 * numbers in a file that stays mapped, so that the difference of two readings is what happened between them.
 *
 * Start: -plugin count.so,out=FILE where FILE holds at least 16 bytes.
 *
 * Distributions do not package QEMU's header, so what is used of its interface (version 1; docs/devel/tcg-plugins.rst
 * in QEMU's documentation) is declared here. The counts are exact for one thread: the inline addition is not atomic.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;   /* a block of translated code */
struct qemu_plugin_insn; /* one of its instructions */
enum { ADD_U64 = 0 };    /* qemu_plugin_op */
enum { READ_WRITE = 3 }; /* qemu_plugin_mem_rw */

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn *, int, int, void *, uint64_t);

EXPORT int qemu_plugin_version = 1;

static struct { uint64_t instructions, accesses; } *counted;

/* Called once for each block when it is translated: put the additions into it. */
static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counted->instructions, count);
    for (size_t i = 0; i < count; i++)
        qemu_plugin_register_vcpu_mem_inline(qemu_plugin_tb_get_insn(block, i), READ_WRITE, ADD_U64,
                                             &counted->accesses, 1);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    int file = -1;
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            file = open(argv[i] + 4, O_RDWR);
    if (file < 0)
        return 1;
    counted = mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (counted == MAP_FAILED)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
