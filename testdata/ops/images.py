"""Resizing and sampling of images in every mode."""
import numpy as np
import torch
import torch.nn.functional as F
from golden import Typed, b, case, f16, f32, i32, rand, text, u16, u32, whole

X = f32(rand(1, 2, 3, 4))
X3 = f32(rand(2, 3, 5))


def grid(mode, n, m):
    """Where the m samples of an axis of n lie."""
    i = np.arange(m)
    if mode == "STRICT_ALIGN_CORNERS":
        return i * ((n - 1) / (m - 1) if m > 1 else 0.0)
    if mode == "ALIGN_CORNERS":
        return i * ((n - 1) / (m - 1)) if m > 1 else np.array([(n - 1) / 2])
    if mode == "DEFAULT":
        return i * (n / m)
    if mode == "OFFSET_CORNERS":
        return (i + 0.5) * (max(1, n - 1) / m)
    return (i + 0.5) * (n / m) - 0.5


def along(x, at, axis):
    n = x.shape[axis]
    at = np.clip(at, 0, n - 1)
    low = np.floor(at).astype(int)
    f = (at - low).reshape([-1] + [1] * (x.ndim - 1 - axis % x.ndim))
    return np.take(x, low, axis) * (1 - f) + np.take(x, np.minimum(low + 1, n - 1), axis) * f


def bilinear(x, rows, cols):
    return along(along(x, rows, -2), cols, -1)


def nearest(x, size):
    for axis, m in ((-2, size[0]), (-1, size[1])):
        n = x.shape[axis]
        x = np.take(x, np.arange(m) * n // m, axis)
    return x


MODES = ["DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"]
for mode in MODES:
    for size in ((5, 7), (2, 3), (1, 1), (6, 1), (3, 4)):
        y = bilinear(X.n, grid(mode, 3, size[0]), grid(mode, 4, size[1]))
        name = f"{mode} to {size[0]} by {size[1]}"
        case(f"resize_bilinear, {name}", "resize_bilinear", {"x": X}, {"target_size_height": i32(size[0]), "target_size_width": i32(size[1]), "sampling_mode": text(mode)}, y, truth="formula")
        if 1 not in size:
            case(f"resize, LINEAR {name}", "resize", {"x": X}, {"shape": i32([1, *size]), "resized_dims": u32(2), "sampling_mode": text(mode)}, y, truth="formula", opset=17)
y = F.interpolate(X.t, (5, 7), mode="bilinear", align_corners=True)
case("resize_bilinear as torch with aligned corners", "resize_bilinear", {"x": X}, {"target_size_height": i32(5), "target_size_width": i32(7), "sampling_mode": text("STRICT_ALIGN_CORNERS")}, y)
y = F.interpolate(X.t, (5, 7), mode="bilinear", align_corners=False)
case("resize_bilinear as torch without aligned corners", "resize_bilinear", {"x": X}, {"target_size_height": i32(5), "target_size_width": i32(7), "sampling_mode": text("UNALIGN_CORNERS")}, y)
y = bilinear(X3.n, grid("DEFAULT", 3, 4), grid("DEFAULT", 5, 3))
case("resize_bilinear, rank 3, default mode", "resize_bilinear", {"x": X3}, {"target_size_height": i32(4), "target_size_width": i32(3)}, y, truth="formula")
h = f16(X.n)
case("resize_bilinear, fp16", "resize_bilinear", {"x": h}, {"target_size_height": i32(5), "target_size_width": i32(3)}, bilinear(h.n, grid("DEFAULT", 3, 5), grid("DEFAULT", 4, 3)), truth="formula")
case("resize, shape as an input, one extent kept", "resize", {"x": X, "shape": i32([0, 7])}, {"resized_dims": u32(2)}, bilinear(X.n, grid("DEFAULT", 3, 3), grid("DEFAULT", 4, 7)), truth="formula", opset=17)
case("resize, one axis", "resize", {"x": X}, {"shape": i32([7]), "resized_dims": u32(1), "sampling_mode": text("UNALIGN_CORNERS")}, along(X.n, grid("UNALIGN_CORNERS", 4, 7), -1), truth="formula", opset=17)


def rounded(x, mode, size):
    """The element nearest to each sample; coremltools' tests against the runtime show that `resize` rounds."""
    for axis, m in ((-2, size[0]), (-1, size[1])):
        n = x.shape[axis]
        at = np.clip(np.floor(grid(mode, n, m) + 0.5), 0, n - 1)
        x = np.take(x, at.astype(int), axis)
    return x


for size in ((5, 7), (2, 3), (6, 8), (1, 1)):
    y = F.interpolate(X.t, size, mode="nearest")
    case(f"resize_nearest_neighbor to {size}", "resize_nearest_neighbor", {"x": X}, {"target_size_height": i32(size[0]), "target_size_width": i32(size[1])}, y, within="exact")
    for mode in ("DEFAULT", "STRICT_ALIGN_CORNERS"):
        consts = {"shape": i32(size), "resized_dims": u32(2), "interpolation_mode": text("NEAREST_NEIGHBOR"), "sampling_mode": text(mode)}
        case(f"resize, NEAREST_NEIGHBOR {mode} to {size}", "resize", {"x": X}, consts, rounded(X.n, mode, size), truth="formula", within="exact", opset=17)
for factor in ((2, 3), (1, 4)):
    y = X.t.repeat_interleave(factor[0], -2).repeat_interleave(factor[1], -1)
    case(f"upsample_nearest_neighbor by {factor}", "upsample_nearest_neighbor", {"x": X}, {"scale_factor_height": i32(factor[0]), "scale_factor_width": i32(factor[1])}, y, within="exact")
case("upsample_nearest_neighbor, fractions", "upsample_nearest_neighbor", {"x": X}, {"scale_factor_height": f32(1.5), "scale_factor_width": f32(2.0)}, nearest(X.n, (4, 8)), truth="formula", within="exact")
case("upsample_nearest_neighbor, defaults", "upsample_nearest_neighbor", {"x": X3}, {}, X3.n, truth="formula", within="exact")
for align in (True, False):
    y = F.interpolate(X.t, scale_factor=(2, 3), mode="bilinear", align_corners=align)
    case(f"upsample_bilinear, align_corners {align}", "upsample_bilinear", {"x": X}, {"scale_factor_height": i32(2), "scale_factor_width": i32(3), "align_corners": b(align)}, y)
    y = F.interpolate(X.t, scale_factor=(1.5, 2.75), mode="bilinear", align_corners=align, recompute_scale_factor=True)
    case(f"upsample_bilinear, fractions, align_corners {align}", "upsample_bilinear", {"x": X}, {"scale_factor_height": f32(1.5), "scale_factor_width": f32(2.75), "align_corners": b(align)}, y)
y = bilinear(X.n, grid("DEFAULT", 3, 6), grid("DEFAULT", 4, 12))
case("upsample_bilinear, neither corners nor centres", "upsample_bilinear", {"x": X}, {"scale_factor_height": i32(2), "scale_factor_width": i32(3), "align_corners": b(False), "half_pixel_centers": b(False)}, y, truth="formula", opset=16)
y = F.interpolate(X.t, scale_factor=(2, 3), mode="bilinear", align_corners=False)
case("upsample_bilinear, half_pixel_centers", "upsample_bilinear", {"x": X}, {"scale_factor_height": i32(2), "scale_factor_width": i32(3), "align_corners": b(False), "half_pixel_centers": b(True)}, y, opset=16)


# ---------------------------------------------------------------- boxes
def box_grid(mode, low, high, m):
    """The samples of an axis between two pixel places; the extent is counted with both ends."""
    i, n = np.arange(m), high - low + 1
    if mode == "STRICT_ALIGN_CORNERS":
        return low + i * ((high - low) / (m - 1) if m > 1 else 0.0)
    if mode == "ALIGN_CORNERS":
        return low + i * ((high - low) / (m - 1)) if m > 1 else np.array([(low + high) / 2])
    if mode == "DEFAULT":
        return low + i * (n / m)
    if mode == "OFFSET_CORNERS":
        return low + (i + 0.5) * (max(1, high - low) / m)
    return low + (i + 0.5) * (n / m) - 0.5


def box_of(mode, v, shape, normalized, scale):
    height, width = shape
    v = np.asarray(v, dtype=float)
    if mode.startswith("CENTER"):
        (a, c), (da, dc) = v[:2], v[2:]
        v = np.array([a - da / 2, c - dc / 2, a + da / 2, c + dc / 2])
    if mode.endswith("WIDTH_FIRST"):
        v = v[[1, 0, 3, 2]]
    v = v * scale
    return v * [height - 1, width - 1, height - 1, width - 1] if normalized else v


def crops(x, boxes, images, size, mode, how, normalized=False, scale=1.0):
    out = []
    for v, k in zip(boxes, images):
        h0, w0, h1, w1 = box_of(how, v, x.shape[-2:], normalized, scale)
        out.append(bilinear(x if k is None else x[int(k)], box_grid(mode, h0, h1, size[0]), box_grid(mode, w0, w1, size[1])))
    return np.stack(out)


IMG = f32(rand(2, 2, 7, 8))
BOXES = {"CORNERS_HEIGHT_FIRST": [[0, 1, 4, 5.5], [1.5, 2, 5, 6]], "CORNERS_WIDTH_FIRST": [[1, 0, 5.5, 4], [2, 1.5, 6, 5]],
         "CENTER_SIZE_HEIGHT_FIRST": [[2, 3.25, 4, 4.5], [3, 4, 2, 3]], "CENTER_SIZE_WIDTH_FIRST": [[3.25, 2, 4.5, 4], [4, 3, 3, 2]]}
SIZE = {"target_height": i32(3), "target_width": i32(4)}
for how, boxes in BOXES.items():
    roi = f32(np.reshape(boxes, (2, 1, 4, 1, 1)))
    consts = {**SIZE, "box_coordinate_mode": text(how), "sampling_mode": text("ALIGN_CORNERS")}
    y = crops(IMG.n, boxes, [None, None], (3, 4), "ALIGN_CORNERS", how)
    case(f"crop_resize, {how}", "crop_resize", {"x": IMG, "roi": roi}, consts, y, truth="formula")
    y = crops(IMG.n, boxes, [0, 1], (3, 4), "ALIGN_CORNERS", how)
    case(f"crop_resize, iOS17, {how}", "crop_resize", {"x": IMG, "boxes": f32(boxes)}, consts, y, truth="formula", opset=17)
boxes = BOXES["CORNERS_HEIGHT_FIRST"]
for mode in MODES:
    for size in ((3, 4), (1, 1)):
        consts = {"target_height": i32(size[0]), "target_width": i32(size[1]), "sampling_mode": text(mode)}
        roi = f32(np.reshape([[0, *boxes[0]], [0, *boxes[1]]], (2, 1, 5, 1, 1)))
        y = crops(IMG.n, boxes, [0, 0], size, mode, "CORNERS_HEIGHT_FIRST")
        case(f"crop_resize of a named image, {mode}, {size[0]} by {size[1]}", "crop_resize", {"x": f32(IMG.n[:1]), "roi": roi}, consts, y[:, None], truth="formula")
        y = crops(IMG.n, boxes, [1, 0], size, mode, "CORNERS_HEIGHT_FIRST")
        case(f"crop_resize, iOS17, box_indices, {mode}, {size[0]} by {size[1]}", "crop_resize", {"x": IMG, "boxes": f32(boxes), "box_indices": i32([1, 0])}, consts, y, truth="formula", opset=17)
v = [[0.125, 0.0, 0.75, 0.5]]
y = crops(IMG.n, v, [None], (3, 4), "ALIGN_CORNERS", "CORNERS_HEIGHT_FIRST", normalized=True)
case("crop_resize, normalized", "crop_resize", {"x": IMG, "roi": f32(np.reshape(v, (1, 1, 4, 1, 1)))}, {**SIZE, "normalized_coordinates": b(True), "sampling_mode": text("ALIGN_CORNERS")}, y, truth="formula")
v = [[0, 2, 8, 12]]
y = crops(IMG.n, v, [None], (3, 4), "OFFSET_CORNERS", "CORNERS_HEIGHT_FIRST", scale=0.5)
case("crop_resize, spatial_scale", "crop_resize", {"x": IMG, "roi": f32(np.reshape(v, (1, 1, 4, 1, 1)))}, {**SIZE, "spatial_scale": f32(0.5), "sampling_mode": text("OFFSET_CORNERS")}, y, truth="formula")
v = [[4, 5, 1, 2]]
y = crops(IMG.n, v, [None], (3, 4), "ALIGN_CORNERS", "CORNERS_HEIGHT_FIRST")
case("crop_resize, a box whose ends are exchanged", "crop_resize", {"x": IMG, "roi": f32(np.reshape(v, (1, 1, 4, 1, 1)))}, {**SIZE, "sampling_mode": text("ALIGN_CORNERS")}, y, truth="formula")
v = [[0, 0, 2, 2]]
y = crops(IMG.n, v, [1], (3, 3), "ALIGN_CORNERS", "CORNERS_HEIGHT_FIRST")
case("crop_resize, uint16 boxes", "crop_resize", {"x": IMG, "boxes": u16(v), "box_indices": u16([1])}, {"target_height": i32(3), "target_width": i32(3), "sampling_mode": text("ALIGN_CORNERS"), "pad_value": f32(2)}, y, truth="formula", opset=17)
v = np.array([[-2, -1, 4, 5.0]])
rows, cols = np.linspace(-2, 4, 4), np.linspace(-1, 5, 4)
y = bilinear(IMG.n, rows, cols)
outside = (rows < 0)[:, None] | (cols < 0)[None]
y = np.where(outside, 9.5, y)
case("crop_resize, pad_value beyond the image", "crop_resize", {"x": IMG, "roi": f32(v.reshape(1, 1, 4, 1, 1))}, {"target_height": i32(4), "target_width": i32(4), "sampling_mode": text("ALIGN_CORNERS"), "pad_value": f32(9.5)}, y[None], truth="formula", opset=16)

# ---------------------------------------------------------------- sampling at places
PAD = {"constant": "zeros", "border": "border"}
G = rand(2, 3, 5, 2, lo=-1.5, hi=1.5)
for how in ("bilinear", "nearest"):
    for pad in ("constant", "border", "reflection", "symmetric"):
        for align in (True, False):
            # torch reflects at centres with aligned corners, at edges without
            if (pad == "reflection" and not align) or (pad == "symmetric" and align):
                continue
            x, g = f32(rand(2, 2, 4, 6)), f32(G)
            y = F.grid_sample(x.t, g.t, how, PAD.get(pad, "reflection"), align)
            params = {"sampling_mode": text(how), "padding_mode": text(pad), "padding_value": f32(0), "align_corners": b(align)}
            case(f"resample, {how}, {pad}, align_corners {align}", "resample", {"x": x, "coordinates": g}, {**params, "coordinates_mode": text("normalized_minus_one_to_one")}, y)
            if pad in ("border", "constant"):
                g = f32(np.round((G + 1) / 2, 3))
                y = F.grid_sample(x.t, g.t * 2 - 1, how, PAD[pad], align)
                case(f"resample, {how}, {pad}, align_corners {align}, zero to one", "resample", {"x": x, "coordinates": g}, {**params, "coordinates_mode": text("normalized_zero_to_one")}, y)
x = f32(rand(2, 2, 4, 6))
size = torch.tensor([5.0, 3.0], dtype=torch.float64)
g = f32(np.round((G + 1) * [2.5, 1.5], 2))
for how in ("bilinear", "nearest"):
    y = F.grid_sample(x.t, g.t * 2 / size - 1, how, "border", True)
    params = {"sampling_mode": text(how), "padding_mode": text("border"), "padding_value": f32(0), "coordinates_mode": text("unnormalized"), "align_corners": b(True)}
    case(f"resample, {how}, unnormalized", "resample", {"x": x, "coordinates": g}, params, y)
i = i32(whole(2, 2, 3, 2, lo=-1, hi=5))
y = F.grid_sample(x.t, i.t * 2 / size - 1, "nearest", "zeros", True)
case("resample at whole places", "resample", {"x": x, "coordinates": i}, {**params, "padding_mode": text("constant")}, y)
y = F.grid_sample(x.t - 3.5, i.t * 2 / size - 1, "nearest", "zeros", True) + 3.5
case("resample, padding_value", "resample", {"x": x, "coordinates": i}, {**params, "padding_mode": text("constant"), "padding_value": f32(3.5)}, y)
y = F.grid_sample(x.t - 3.5, f32(G).t, "bilinear", "zeros", True) + 3.5
case("resample, bilinear, padding_value", "resample", {"x": x, "coordinates": f32(G)}, {"sampling_mode": text("bilinear"), "padding_mode": text("constant"), "padding_value": f32(3.5), "coordinates_mode": text("normalized_minus_one_to_one"), "align_corners": b(True)}, y)
c = Typed("int8", i.n)
y = F.grid_sample(x.t, i.t * 2 / size - 1, "nearest", "zeros", True)
case("resample, int8 coordinates", "resample", {"x": x, "coordinates": c}, {**params, "padding_mode": text("constant")}, y, opset=17)
AFFINE = {"output_height": i32(4), "output_width": i32(5), "sampling_mode": text("bilinear"), "padding_mode": text("constant"),
          "padding_value": f32(0), "coordinates_mode": text("normalized_minus_one_to_one"), "align_corners": b(True)}
for m in ([[0.75, 0.25, 0.1, -0.3, 0.9, -0.2]], [[1, 0, 0, 0, 1, 0], [0.5, -0.5, 0.25, 0.25, 1.25, 0]], [[0, 1, 0, 1, 0, 0]]):
    t = f32(m)
    theta = t.t.reshape(-1, 2, 3).expand(2, 2, 3)
    y = F.grid_sample(x.t, F.affine_grid(theta, (2, 2, 4, 5), align_corners=True), "bilinear", "zeros", True)
    case(f"affine {m}", "affine", {"x": x, "transform_matrix": t}, AFFINE, y)
