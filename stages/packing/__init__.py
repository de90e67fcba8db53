"""Fewer bytes in a tflite file: weights in a code that TFLM decodes, and less FlatBuffer around them.

    objects.py     a tflite model as tables, vectors and strings, each different one once
    layout.py      where each of them lies in the file
    shrinking.py   what no runtime asks for is left out
    accounting.py  which byte of a file is what
    codes.py       the header of TFLM's DECODE operator; bit mask, look-up table
    huffman.py     Huffman codes and the tables that TFLM decodes them with
    candidates.py  which constants can be coded, and what each code would take
    inserting.py   DECODE operators in front of the operators that read the weights
    proving.py     the packed model against the unpacked one in TFLM: outputs, arena, latency
"""
