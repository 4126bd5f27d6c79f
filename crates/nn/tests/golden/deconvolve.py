"""Deconvolutions with dilated kernels and with strides over the kernel."""
from case import *  # noqa: F403
from compute import conv, conv3d

D = rand(1, 2, 3, 4)
conv("deconvolution, dilated", D, (3, 2), 3, stride=[2, 1], dilation=[2, 3], deconv=True, expected=lambda x, k, b: F.conv_transpose2d(x, k, b, (2, 1), dilation=(2, 3)))
conv("deconvolution, dilated, groups, borders", rand(1, 4, 3, 4), (3, 2), 6, groups=2, stride=[1, 2], dilation=[2, 2], deconv=True, border={"valid": {"paddingAmounts": borders(1, 2, 0, 1)}},
     expected=lambda x, k, b: F.conv_transpose2d(x, k, b, (1, 2), groups=2, dilation=2)[:, :, 1:-2, :-1])
# the input of a convolution with such borders has size * stride elements: torch's gradient of that convolution is the truth
def gradient(x, k, b, stride, dilation, pads):
    size = [n * s for n, s in zip(x.shape[-2:], stride)]
    seen = torch.zeros(x.shape[0], k.shape[1], *size, dtype=x.dtype, requires_grad=True)
    with torch.enable_grad():
        y = F.conv2d(F.pad(seen, [p for pair in reversed(pads) for p in pair]), k, None, stride, 0, dilation)
        y.backward(x)
    return seen.grad + b.reshape(-1, 1, 1)


for mode, before in (("BOTTOM_RIGHT_HEAVY", False), ("TOP_LEFT_HEAVY", True)):
    fit = lambda n, k, s, d, before=before: same(n * s, k, s, d, before)
    conv(f"deconvolution, same, dilated, {mode}", D, (3, 4), 2, stride=[2, 2], dilation=[1, 2], deconv=True, border={"same": {"asymmetryMode": mode}},
         expected=lambda x, k, b, fit=fit: gradient(x, k, b, (2, 2), (1, 2), [fit(3, 3, 2, 1), fit(4, 4, 2, 2)]))
    conv(f"deconvolution, same, strides over the kernel, {mode}", D, (1, 2), 2, stride=[3, 4], deconv=True, border={"same": {"asymmetryMode": mode}},
         expected=lambda x, k, b, fit=fit: gradient(x, k, b, (3, 4), 1, [fit(3, 1, 3, 1), fit(4, 2, 4, 1)]))
conv("deconvolution, strides over the kernel", D, (2, 1), 2, stride=[3, 2], deconv=True, expected=lambda x, k, b: F.conv_transpose2d(x, k, b, (3, 2)))
conv("deconvolution to a size, strides over the kernel", D, (2, 2), 2, stride=[3, 3], deconv=True, output_shape=[9, 11], expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 3, 0, (1, 0)))
for seq, batch in ((1, 1), (2, 1), (1, 3)):
    conv(f"deconvolution, dilated, sequence {seq}, batch {batch}", rand(seq, batch, 2, 3, 4), (2, 3), 3, stride=[2, 3], dilation=[3, 1], deconv=True, mapping="rank5",
         expected=lambda x, k, b: F.conv_transpose2d(x, k, b, (2, 3), dilation=(3, 1)))
    conv(f"deconvolution, same, strides over the kernel, sequence {seq}, batch {batch}", rand(seq, batch, 2, 3, 4), (1, 2), 3, stride=[2, 3], deconv=True, border={"same": {}}, mapping="rank5",
         expected=lambda x, k, b: F.pad(F.conv_transpose2d(x, k, None, (2, 3)), (0, 1, 0, 1)) + b.reshape(-1, 1, 1))
V = rand(1, 2, 3, 2, 4)
conv3d("deconvolution3d, dilated", V, (2, 3, 2), 3, 1, (2, 1, 3), (3, 1, 2), {"paddingType": "VALID"}, lambda x, k, b: F.conv_transpose3d(x, k, b, (2, 1, 3), dilation=(3, 1, 2)), deconv=True)
conv3d("deconvolution3d, dilated, borders, groups", V, (2, 3, 2), 4, 2, (2, 1, 1), (3, 1, 2), {"customPaddingFront": 1, "customPaddingBottom": 2, "customPaddingLeft": 1},
       lambda x, k, b: F.conv_transpose3d(x, k, b, (2, 1, 1), groups=2, dilation=(3, 1, 2))[:, :, 1:, :-2, 1:], deconv=True)
conv3d("deconvolution3d, same, strides over the kernel", V, (1, 2, 3), 3, 1, (2, 3, 2), (1, 1, 1), {"paddingType": "SAME"},
       lambda x, k, b: F.pad(F.conv_transpose3d(x, k, None, (2, 3, 2)), (0, -1, 0, 1, 0, 1)) + b.reshape(-1, 1, 1, 1), deconv=True)
