"""What the description of a Keras model may name: the objects of Keras that compute and do nothing else.

Taken from Keras 3.15 and tf_keras 2.21 (a test holds every name against what is installed). Left out are the layers
that carry or load code (Lambda, TFSMLayer, TorchModuleWrapper, FlaxLayer, JaxLayer), base classes, and operations that
take a function as an argument.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


LAYERS = _names("""
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose
ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose
Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D
Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten Functional GRU GRUCell GaussianDropout
GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity InputLayer IntegerLookup
LSTM LSTMCell LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxPool1D MaxPool2D
MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp Model MultiHeadAttention
Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization
RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom ReLU
RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D
SeparableConvolution1D SeparableConvolution2D Sequential SimpleRNN SimpleRNNCell Softmax Solarization
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract
TextVectorization ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D
UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""")
INITIALIZERS = _names("""
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling
Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform ones orthogonal
random_normal random_uniform stft truncated_normal variance_scaling zeros
""")
REGULARIZERS = _names("""
L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2 l2 orthogonal_regularizer
""")
CONSTRAINTS = _names("""
MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm max_norm min_max_norm non_neg radial_constraint unit_norm
""")
TRAINING = _names("""
AUC Accuracy Adadelta Adafactor Adagrad Adam AdamW Adamax BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy
BinaryIoU CTC CategoricalAccuracy CategoricalCrossentropy CategoricalFocalCrossentropy
CategoricalGeneralizedCrossEntropy CategoricalHinge Circle ConcordanceCorrelation CosineDecay CosineDecayRestarts
CosineSimilarity Dice ExponentialDecay F1Score FBetaScore FalseNegatives FalsePositives Ftrl Hinge Huber
InverseTimeDecay IoU KLDivergence Lamb Lion LogCosh LogCoshError LossScaleOptimizer Mean MeanAbsoluteError
MeanAbsolutePercentageError MeanIoU MeanRelativeError MeanSquaredError MeanSquaredLogarithmicError MeanTensor
MultiOptimizer Muon Nadam OneHotIoU OneHotMeanIoU OptimizerMap PearsonCorrelation PiecewiseConstantDecay Poisson
PolynomialDecay Precision PrecisionAtRecall R2Score RMSprop Recall RecallAtPrecision RootMeanSquaredError SGD
ScheduleFreeAdamW SensitivityAtSpecificity SparseCategoricalAccuracy SparseCategoricalCrossentropy
SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives
TruePositives Tversky
""")
OTHERS = _names("""
AWQConfig AWQDTypePolicy AbsMaxQuantizer DTypePolicy DTypePolicyMap Float8QuantizationConfig FloatDTypePolicy
GPTQConfig GPTQDTypePolicy Int4DTypePolicy Int4QuantizationConfig Int8QuantizationConfig Policy QuantizedDTypePolicy
QuantizedFloat8DTypePolicy SeedGenerator
""")
OPERATIONS = _names("""
Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add AffineTransform All AllClose Amax Amin Angle Any Append Arange
Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit Average
AveragePool BatchNorm BinaryCrossentropy Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr
BitwiseRightShift BitwiseXor BroadcastTo CDist CTCDecode CTCLoss Cast CategoricalCrossentropy Cbrt Ceil Celu
Cholesky CholeskyInverse Clip Concatenate Conj Conjugate Conv ConvTranspose ConvertToTensor Copy Corrcoef Correlate
Cos Cosh CountNonzero CropImages Cross Cumprod Cumsum Deg2rad DepthToSpace DepthwiseConv Det Diag Diagflat Diagonal
Diff Digitize Divide DivideNoNan Dot DotProductAttention Dsplit Dstack Eig Eigh Einsum ElasticTransform Elu
EmptyLike Equal Erf Erfc Erfinv Exp Exp2 ExpandDims Expm1 ExtractPatches ExtractSequences FFT FFT2 Fabs Flip Fliplr
Flipud Floor FloorDivide Fmax Fmin Fmod Fold Full FullLike GaussianBlur Gcd Gelu Geomspace GetItem Glu Greater
GreaterEqual HSVToRGB HardShrink HardSigmoid HardSilu HardTanh Heaviside Histogram Hsplit Hstack Hypot I0 IFFT2
IRFFT ISTFT Imag InTopK Inner Inv IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal Kron LayerNorm Lcm
Ldexp LeakyRelu LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp Logaddexp2
Logdet LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Logsumexp Lstsq LuFactor MapCoordinates Matmul MatrixRank
Max MaxPool Maximum Mean Median Meshgrid Min Minimum Mod Moments Moveaxis MultiHot Multiply NanToNum Nanargmax
Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum
Nanvar Ndim Negative Nextafter Nonzero Norm Normalize NotEqual OneHot OnesLike Outer PSNR Pad PadImages Percentile
PerspectiveTransform Pinv Polar Power Prod Ptp Qr Quantile RFFT RGBToGrayscale RGBToHSV RMSNorm Rad2deg Ravel Real
Rearrange Reciprocal Relu Relu6 Repeat Reshape Resize RightShift Roll Rot90 Round Rsqrt SSIM STFT SVD SaturateCast
ScaleAndTranslate Scatter ScatterUpdate SearchSorted SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum
Select Selu SeparableConv Sigmoid Sign Signbit Silu Sin Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges
SoftShrink Softmax Softplus Softsign Solve SolveTriangular Sort SpaceToDepth SparseCategoricalCrossentropy
SparsePlus SparseSigmoid Sparsemax Split Sqrt Square Squareplus Squeeze Stack Std StopGradient Subtract Sum Swapaxes
Take TakeAlongAxis Tan Tanh TanhShrink Tensordot Threshold Tile TopK Trace Transpose Trapezoid Tril Triu TrueDivide
Trunc Unfold Unique UnravelIndex Unstack Vander Var Vdot View ViewAsComplex ViewAsReal Vsplit Vstack Where ZerosLike
""")
FUNCTIONS = _names("""
KLD MAE MAPE MSE MSLE binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy
categorical_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge celu
circle concordance_correlation cosine_similarity ctc dice elu exponential gelu glu hard_shrink hard_sigmoid
hard_silu hard_swish hard_tanh hinge huber kl_divergence kld kullback_leibler_divergence leaky_relu linear log_cosh
log_sigmoid log_softmax logcosh mae mape mean_absolute_error mean_absolute_percentage_error mean_squared_error
mean_squared_logarithmic_error mish mse msle pearson_correlation poisson relu relu6 selu sigmoid silu soft_shrink
softmax softplus softsign sparse_categorical_accuracy sparse_categorical_crossentropy sparse_plus sparse_sigmoid
sparse_top_k_categorical_accuracy sparsemax squared_hinge squareplus swish tanh tanh_shrink threshold
top_k_categorical_accuracy tversky
""")

# Where Keras says that such an object lives: its public modules, and the deeper ones of each version.
_PUBLIC = r"(?:tf_)?keras(?:\.src)?"
_TRAINING = r"(?:losses|metrics|optimizers)(?:\.\w+)*"
HOMES = (
    (LAYERS, rf"{_PUBLIC}(?:\.(?:layers|models|engine)(?:\.\w+)*)?"),
    (INITIALIZERS, rf"{_PUBLIC}\.initializers(?:\.\w+)*"),
    (REGULARIZERS, rf"{_PUBLIC}\.regularizers(?:\.\w+)*"),
    (CONSTRAINTS, rf"{_PUBLIC}\.constraints(?:\.\w+)*"),
    (TRAINING, rf"{_PUBLIC}\.{_TRAINING}"),
    (OTHERS, rf"{_PUBLIC}(?:\.(?:dtype_policies|random|quantizers|mixed_precision|backend)(?:\.\w+)*)?"),
    (_names("LayerScale"), rf"{_PUBLIC}\.applications\.convnext"),
    (OPERATIONS, rf"{_PUBLIC}\.ops(?:\.(?:numpy|nn|math|image|linalg|core|einops))?"),
)
FUNCTION_HOMES = rf"builtins|{_PUBLIC}(?:\.(?:activations|{_TRAINING})(?:\.\w+)*)?"
# Values, not objects: Keras rebuilds them itself.
VALUES = _names("__keras_tensor__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ __tuple__ TensorShape")
TYPE_SPECS = _names("TensorSpec RaggedTensorSpec SparseTensorSpec")

# Objects of Keras that are refused by name, with what they could do.
REFUSED = {
    "Lambda": "its Python code runs when the model is loaded or called",
    "__lambda__": "its Python code runs when the model is loaded or called",
    "TFSMLayer": "it loads another SavedModel by its path",
    "TorchModuleWrapper": "it holds a Python pickle, which runs code when it is read",
    "FlaxLayer": "it holds code of the user's", "JaxLayer": "it holds code of the user's",
    "ClassMethod": "it calls a method by name", "InstanceMethod": "it calls a method by name",
    "InstanceProperty": "it reads an attribute by name",
}
VOCABULARY_LAYERS = ("StringLookup", "IntegerLookup", "TextVectorization")

# Functions of TensorFlow that a TFOpLambda layer of Keras 2 may call.
TENSORFLOW_FUNCTIONS = r"""(?x)
    (?:math|nn|linalg|signal|bitwise|compat\.v1\.nn|compat\.v1\.math|keras\.activations)
        \.(?!experimental)\w+
    | __operators__\.(?:add|sub|mul|div|truediv|floordiv|mod|pow|matmul|neg|abs|eq|ne|lt|le|gt|ge|logical_and
        |logical_or|logical_not|getitem|rsub|radd|rmul|rtruediv|rpow|rfloordiv|rmod|rmatmul|rdiv)
    | image\.(?:resize|resize_with_pad|resize_with_crop_or_pad|crop_and_resize|central_crop|rgb_to_grayscale
        |grayscale_to_rgb|flip_left_right|flip_up_down|per_image_standardization|pad_to_bounding_box|adjust_\w+
        |crop_to_bounding_box|rgb_to_yuv|yuv_to_rgb|rgb_to_hsv|hsv_to_rgb|transpose|rot90|extract_patches)
    | (?:compat\.v1\.)?(?:abs|acos|add|add_n|argmax|argmin|argsort|asin|atan|atan2|batch_to_space|bitcast
        |boolean_mask|broadcast_to|cast|clip_by_norm|clip_by_value|concat|convert_to_tensor|cos|cosh|cumsum|divide|einsum
        |equal|exp|expand_dims|eye|fill|floor|gather|gather_nd|greater|greater_equal|identity|less|less_equal|linspace
        |logical_and|logical_not|logical_or|matmul|maximum|meshgrid|minimum|multiply|negative|norm|not_equal|one_hot|ones
        |ones_like|pad|pow|range|rank|realdiv|reduce_all|reduce_any|reduce_logsumexp|reduce_max|reduce_mean|reduce_min
        |reduce_prod|reduce_sum|repeat|reshape|reverse|roll|round|saturate_cast|scalar_mul|shape|sigmoid|sign|sin|sinh
        |size|slice|sort|space_to_batch|split|sqrt|square|squeeze|stack|stop_gradient
        |strided_slice|subtract|tan|tanh|tensordot|tile|transpose|truediv|unstack|where|zeros|zeros_like)
"""
