//! Convolutions.

mod forward;
#[cfg(test)]
pub(crate) mod tests;
mod transposed;

use crate::array::Array;
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::ops::window::{Axis, extents, sizes};
use crate::real::Real;
use crate::sums::Sums;

pub(crate) const TABLE: Table = &[
    ("conv", real!(conv)),
    ("conv_quantized", real!(conv_quantized)),
    ("conv_transpose", real!(conv_transpose)),
];

/// A convolution with its data: channels are outermost in `x`, `weight` and the result.
struct Conv<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    bias: Option<&'a [T]>,
    batch: usize,
    groups: usize,
    /// Channels of a group in the data that the windows slide over, and in the other.
    inputs: usize,
    outputs: usize,
    axes: [Axis; 3],
    sums: Option<Sums>,
}

impl<T: Real> Conv<'_, T> {
    /// Taps of a window.
    fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    /// The tap at a position in the order of the weights.
    fn tap(&self, at: usize) -> [usize; 3] {
        let [_, h, w] = self.axes;
        [at / (h.kernel * w.kernel), at / w.kernel % h.kernel, at % w.kernel]
    }

    /// Number of windows, and of elements that they slide over.
    fn extents(&self) -> (usize, usize) {
        extents(&self.axes)
    }

    /// What the sums of an output channel start from.
    fn start(&self, channel: usize) -> T {
        self.bias.and_then(|b| b.get(channel)).copied().unwrap_or_default()
    }
}

/// Extents as sizes that can be computed with.
fn small(dims: &[u64]) -> Result<Vec<usize>, EvalError> {
    let fit = |&d: &u64| usize::try_from(d).ok().filter(|&d| d < 1 << 40);
    let all: Option<Vec<usize>> = dims.iter().map(fit).collect();
    all.ok_or_else(|| EvalError::Shape(format!("the extents {dims:?} are too large")))
}

/// Batch, channels and spatial extents of the data, the extents of the weight, and the number of groups.
fn operands(call: &Call<'_>) -> Result<(Vec<usize>, Vec<usize>, usize), EvalError> {
    let (x, weight) = (call.array("x")?, call.array("weight")?);
    if !(3..=5).contains(&x.rank()) || weight.rank() != x.rank() {
        let why = format!("{weight:?} for {x:?}, where the rank is 3, 4 or 5 in both");
        return Err(EvalError::bad("weight", why));
    }
    let groups = usize::try_from(call.int("groups")?).ok().filter(|&g| g > 0);
    let groups = groups.ok_or_else(|| EvalError::bad("groups", "at least one is needed"))?;
    Ok((small(x.dims())?, small(weight.dims())?, groups))
}

fn bias<'a, T: Real>(call: &Call<'a>, channels: usize) -> Result<Option<&'a [T]>, EvalError> {
    let bias = call.find_items::<T>("bias")?;
    match bias {
        Some(b) if b.len() != channels => {
            Err(EvalError::bad("bias", format!("{} elements for {channels} channels", b.len())))
        }
        _ => Ok(bias),
    }
}

fn misfit(call: &Call<'_>) -> EvalError {
    let shown = |param| call.array(param).map(|a: &Array| format!("{a:?}")).unwrap_or_default();
    EvalError::bad("weight", format!("{} for {} in its groups", shown("weight"), shown("x")))
}

/// Weight `[out, in / groups, kernel…]`.
fn conv<T: Real>(call: &Call<'_>) -> Computed {
    let (_, w, _) = operands(call)?;
    let bias = bias::<T>(call, w.first().copied().unwrap_or(0))?;
    convolve(call, call.items::<T>("weight")?, bias)
}

fn convolve<T: Real>(call: &Call<'_>, weight: &[T], bias: Option<&[T]>) -> Computed {
    let (x, w, groups) = operands(call)?;
    let (&[batch, channels, ..], &[out, inputs, ref kernel @ ..]) = (x.as_slice(), w.as_slice()) else {
        return Err(misfit(call));
    };
    if inputs.checked_mul(groups) != Some(channels) || out % groups != 0 {
        return Err(misfit(call));
    }
    let dilations = sizes(call, "dilations", kernel.len(), 1)?;
    let x = call.array("x")?;
    let axes = crate::ops::window::axes(call, &x.dims()[2..], kernel, &dilations, false)?;
    let mut dims = vec![batch as u64, out as u64];
    dims.extend(axes.iter().map(|a| a.output as u64));
    let mut y = call.zeros::<T>(&dims)?;
    let mut sums = Sums::of(call.arithmetic());
    if inputs * kernel.iter().product::<usize>() == 1 {
        sums = sums.and_then(Sums::of_one);
    }
    let conv = Conv {
        x: call.items("x")?,
        weight,
        bias,
        batch,
        groups,
        inputs,
        outputs: out / groups,
        axes: crate::ops::window::three(&axes),
        sums,
    };
    forward::run(&conv, &mut y)?;
    call.one(x.dtype(), &dims, y)
}

/// As `conv`, with weights that `quant_scale` and `quant_bias` spread, each for all or for each output channel.
fn conv_quantized<T: Real>(call: &Call<'_>) -> Computed {
    match call.text("quantization_type")? {
        "linear" => {}
        other => {
            let why = format!("{other:?}: only linear says what the values of the weights are");
            return Err(EvalError::bad("quantization_type", why));
        }
    }
    let stored = call.array("weight")?.to_f64s()?;
    let out = call.array("weight")?.dims().first().copied().unwrap_or(0) as usize;
    let (scale, offset) = (call.array("quant_scale")?.to_f64s()?, call.array("quant_bias")?.to_f64s()?);
    for (param, values) in [("quant_scale", &scale), ("quant_bias", &offset)] {
        if values.len() != 1 && values.len() != out {
            return Err(EvalError::bad(param, format!("{} elements for {out} channels", values.len())));
        }
    }
    let at = |values: &[f64], channel: usize| values[if values.len() == 1 { 0 } else { channel }];
    let mut weight = call.zeros::<T>(call.array("weight")?.dims())?;
    let share = stored.len() / out.max(1);
    for (i, (w, q)) in weight.iter_mut().zip(stored).enumerate() {
        let channel = i / share.max(1);
        *w = T::of(q * at(&scale, channel) + at(&offset, channel));
    }
    let bias = call.find("bias")?.map(Array::to_f64s).transpose()?;
    let bias: Option<Vec<T>> = bias.map(|b| b.into_iter().map(T::of).collect());
    if bias.as_ref().is_some_and(|b| b.len() != out) {
        return Err(EvalError::bad("bias", format!("one element for each of {out} channels is needed")));
    }
    convolve(call, &weight, bias.as_deref())
}

/// Weight `[in, out / groups, kernel…]`. It is the gradient of a convolution: windows slide over the result.
fn conv_transpose<T: Real>(call: &Call<'_>) -> Computed {
    use crate::ops::window::{Pads, reach, three};

    let (x, w, groups) = operands(call)?;
    let (&[batch, channels, ref spatial @ ..], &[inputs, per_group, ref kernel @ ..]) =
        (x.as_slice(), w.as_slice())
    else {
        return Err(misfit(call));
    };
    if inputs != channels || channels % groups != 0 {
        return Err(misfit(call));
    }
    let out = per_group.checked_mul(groups).ok_or_else(|| misfit(call))?;
    let n = kernel.len();
    let (strides, dilations) = (sizes(call, "strides", n, 1)?, sizes(call, "dilations", n, 1)?);
    let pads = Pads::read(call, n)?;
    if matches!(pads, Pads::Same(true)) {
        return Err(EvalError::bad("pad_type", "a transposed convolution has no same_lower"));
    }
    let wanted = match call.find("output_shape")? {
        Some(_) => {
            let wanted = small(&call.counts("output_shape")?)?;
            if wanted.len() != n + 2 || wanted[..2] != [batch, out] {
                let why = format!("{wanted:?} does not begin with {batch}, {out} and {n} more");
                return Err(EvalError::bad("output_shape", why));
            }
            Some(wanted)
        }
        None => None,
    };
    let mut axes = Vec::with_capacity(n);
    for (axis, (&windows, &kernel)) in spatial.iter().zip(kernel).enumerate() {
        let (stride, dilation) = (strides[axis], dilations[axis]);
        let reach = reach(kernel, dilation)?;
        let spread = windows.saturating_sub(1).saturating_mul(stride).saturating_add(reach);
        let cut: usize = match &pads {
            Pads::Custom(_) => pads.at(axis, (0, 0), 1, 1).iter().sum(),
            _ => 0,
        };
        let extent = match (&wanted, &pads) {
            (Some(wanted), _) => Some(wanted[2 + axis]),
            (None, Pads::Same(_)) => windows.checked_mul(stride),
            (None, _) => spread.checked_sub(cut),
        };
        let extent = extent.filter(|&e| e < 1 << 40).ok_or_else(|| {
            EvalError::bad("pad", format!("{cut} elements are cut from {spread} along spatial axis {axis}"))
        })?;
        let [before, after] = pads.at(axis, (extent, windows), stride, reach);
        axes.push(Axis { input: extent, kernel, stride, dilation, before, after, output: windows });
    }
    let mut dims = vec![batch as u64, out as u64];
    dims.extend(axes.iter().map(|a| a.input as u64));
    let mut y = call.zeros::<T>(&dims)?;
    let conv = Conv {
        x: call.items("x")?,
        weight: call.items("weight")?,
        bias: bias(call, out)?,
        batch,
        groups,
        inputs: per_group,
        outputs: channels / groups,
        axes: three(&axes),
        sums: Sums::of(call.arithmetic()),
    };
    transposed::run(&conv, &mut y)?;
    call.one::<T>(call.array("x")?.dtype(), &dims, y)
}
