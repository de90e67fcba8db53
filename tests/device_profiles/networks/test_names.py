"""Published names and the networks behind them."""

from __future__ import annotations

import pytest

from device_profiles.networks.names import Resolved, Unresolved, resolve


@pytest.mark.parametrize(("model", "variant", "shape", "network", "family"), [
    ("MobileNetV1", "alpha=0.25,res=128", "128x128x3", "mobilenet_v1 classes=1001 size=128 slim=yes width=0.25",
     "mobilenet_v1"),
    ("MobileNetV1", "alpha=1.0,res=224 (MLPerf reference weights mobilenet_v1_1.0_224)", "224x224x3",
     "mobilenet_v1 classes=1001 slim=yes", "mobilenet_v1"),
    ("MobileNetV2", "alpha=1.4,res=224", "224x224x3", "mobilenet_v2 classes=1001 slim=yes width=1.4", "mobilenet_v2"),
    ("MobileNetV2", "alpha=0.35 fft per-channel", "128x128x3", "mobilenet_v2 classes=5 size=128 width=0.35",
     "mobilenet_v2"),
    ("MobileNetV2", "alpha=1.0 per-tensor ImageNet", "224x224x3", "mobilenet_v2", "mobilenet_v2"),
    ("MobileNetV3-large-minimalistic", "alpha=1.0,res=224", "224x224x3",
     "mobilenet_v3_large classes=1001 minimalistic=yes slim=yes", "mobilenet_v3"),
    ("MobileNetV3-small", "alpha=0.75,res=224", "224x224x3", "mobilenet_v3_small classes=1001 slim=yes width=0.75",
     "mobilenet_v3"),
    ("EfficientNet-Lite3", "res=280", "280x280x3", "efficientnet_lite number=3", "efficientnet_lite"),
    ("MnasNet-A1", "alpha=0.5,res=96", "96x96x3", "mnasnet_a1 classes=1001 size=96 width=0.5", "mnasnet_a1"),
    ("ResNet-50 (MLPerf resnet50_v1 weights)", "res=224", "224x224x3", "resnet classes=1001 late=yes", "resnet"),
    ("ResNet-8 (ResNetV1, MLPerf Tiny IC)", "closed-division reference topology", "32x32x3", "resnet_cifar blocks=1",
     "resnet"),
    ("DS-CNN (MLPerf Tiny KWS)", "closed-division reference topology", "49x10x1", "ds_cnn", "ds_cnn"),
    ("kws_ref_model_aligned (MLPerf Tiny DS-CNN KWS)", "", "49x10x1", "ds_cnn", "ds_cnn"),
    ("MobileNetV1-0.25 (MLPerf Tiny VWW)", "closed-division reference topology", "96x96x3", "visual_wake_words",
     "mobilenet_v1"),
    ("Deep autoencoder FC (MLPerf Tiny AD)", "closed-division reference topology", "640", "autoencoder", "mlp"),
    ("EdgeMark CNN_7", "conv3x3 16-16; basic", "32x32x3", "edgemark_cnn number=7", "small_cnn"),
    ("EdgeMark FC_10", "FC 3072-64-32-16-10 (BN); basic", "3072", "mlp layers=3072-64-32-16-10 softmax=yes",
     "mlp"),
    ("EdgeMark FC_8", "FC 13-128-128-128-1 (BN); basic", "13", "mlp layers=13-128-128-128-1", "mlp"),
    ("FC 10+50 MLP", "Wine: 13 features, 3 classes", "13", "mlp layers=13-10-50-3 softmax=yes", "mlp"),
    ("FC 10 x 10 MLP", "Iris: 4 features, 3 classes", "4",
     "mlp layers=4-10-10-10-10-10-10-10-10-10-10-3 softmax=yes", "mlp"),
    ("MobileNet v1 0.25 tfs", "image_classification", "96x96x1", "mobilenet_v1 channels=1 classes=5 size=96 width=0.25",
     "mobilenet_v1"),
    ("GMP wl 48", "human_activity_recognition", "24x3x1", "activity_gmp window=48", "small_cnn"),
    ("miniresnet v2 2stacks", "audio_event_detection", "64x50x1", "st_resnet_v2 stacks=2", "resnet"),
    ("mobilenetv1", "mobilenet_v1_0.25_128_quant.tflite", "Color image (128, 128, 3)",
     "mobilenet_v1 classes=1001 size=128 slim=yes width=0.25", "mobilenet_v1"),
    ("YOLOBench yolo8s", "dXwY = depth/width code", "256x256x3", "yolov8 size=256 variant=s", "yolo"),
    ("YOLOBench yolo5n", "dXwY = depth/width code", "320x320x3", "yolov5 decoupled=yes size=320", "yolo"),
    ("mcunet-in3", "res=176", "176x176x3", "mcunet number=3", "mcunet"),
    ("NASNet mobile", "", "224x224x3", "nasnet classes=1001", "nasnet"),
    ("keyword-spotting_DSCNN", "kws_ref_model.tflite", "Sound file ([ 1, 49, 10,  1])", "ds_cnn", "ds_cnn"),
])
def test_published_names_have_their_network(model: str, variant: str, shape: str, network: str, family: str) -> None:
    assert resolve(model, variant, shape, "int8") == Resolved(network, "int8", family)


@pytest.mark.parametrize(("dtype", "number_format"), [("float32", "float32"), ("uint8", "int8"), ("int8", "int8"),
                                                      ("int16 act / int8 weights", "int16x8")])
def test_formats_are_those_whose_kernels_do_the_work(dtype: str, number_format: str) -> None:
    found = resolve("MobileNetV1", "alpha=1.0,res=224", "224x224x3", dtype)
    assert isinstance(found, Resolved)
    assert found.number_format == number_format


@pytest.mark.parametrize(("model", "variant", "dtype", "reason"), [
    ("MobileBERT (QA)", "tfhub mobilebert/1", "float32", "network 'MobileBERT (QA)'"),
    ("MobileNet v2 0.35 pruned", "Flowers", "int8", "network 'MobileNet v2 0.35 pruned'"),
    ("MobileNetV2", "alpha=0.30,res=80,classes=1000", "int8", "network 'MobileNetV2'"),
    ("MobileNetV1", "alpha=1.0,res=224", "not stated", "number format 'not stated'"),
    ("MobileNetV1", "alpha=1.0,res=224", "", "no number format stated"),
])
def test_what_cannot_be_rebuilt_has_a_reason(model: str, variant: str, dtype: str, reason: str) -> None:
    assert resolve(model, variant, "224x224x3", dtype) == Unresolved(reason)
