//! Reading images at computed places: boxes of them, one place for each element, an affine map.

use rayon::prelude::*;

use super::resize::{Grid, Tap};
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::real::Real;

pub(crate) const TABLE: Table =
    &[("affine", real!(affine)), ("crop_resize", real!(crop_resize)), ("resample", real!(resample))];

/// Extents of images `[batch, channel, height, width]`.
#[derive(Clone, Copy)]
struct Images {
    batch: u64,
    channels: u64,
    height: u64,
    width: u64,
}

impl Images {
    fn of(call: &Call<'_>) -> Result<Images, EvalError> {
        match *call.array("x")?.dims() {
            [batch, channels, height, width] if height > 0 && width > 0 => {
                Ok(Images { batch, channels, height, width })
            }
            ref other => Err(EvalError::bad("x", format!("images are needed, not extents {other:?}"))),
        }
    }

    fn plane(self) -> usize {
        // wraps only where the batch is empty
        self.height.wrapping_mul(self.width) as usize
    }
}

/// A box, and the image that it is cut from.
struct Region {
    image: u64,
    /// First and last place of the rows, then of the columns.
    rows: (f64, f64),
    cols: (f64, f64),
}

/// Where the samples of one axis of a box lie; `None` beyond the image.
fn taps(grid: Grid, (first, last): (f64, f64), m: u64, n: u64) -> Vec<Option<Tap>> {
    let (length, sign) = ((last - first).abs(), if last < first { -1.0 } else { 1.0 });
    let edge = n.saturating_sub(1) as f64;
    // What rounding adds to a place on the edge does not put it beyond.
    let slack = 1e-6 * (edge + 1.0);
    let one = |i: u64| {
        let at = first + sign * grid.at(i, m, length);
        (at >= -slack && at <= edge + slack).then(|| Tap::between(at.clamp(0.0, edge), n as usize))
    };
    (0..m).map(one).collect()
}

/// Samples of boxes; those beyond the image are `pad_value`.
fn crop_resize<T: Real>(call: &Call<'_>) -> Computed {
    let (x, images) = (call.array("x")?, Images::of(call)?);
    let grid = Grid::of(call)?;
    let size = |param: &str| match u64::try_from(call.int(param)?) {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(EvalError::bad(param, "a positive extent is needed")),
    };
    let (height, width) = (size("target_height")?, size("target_width")?);
    let pad = T::of(call.find_float("pad_value")?.unwrap_or(0.0));
    let (regions, outer) = match call.find("roi")? {
        Some(_) => of_roi(call, images)?,
        None => of_boxes(call, images)?,
    };
    let mut dims = outer;
    dims.extend([images.channels, height, width]);
    let mut out = call.zeros::<T>(&dims)?;
    let items = call.items::<T>("x")?;
    let (plane, patch) = (images.plane(), height.wrapping_mul(width) as usize);
    if !out.is_empty() {
        let channels = images.channels as usize;
        out.par_chunks_mut(patch * channels).zip(&regions).for_each(|(out, region)| {
            let rows = taps(grid, region.rows, height, images.height);
            let cols = taps(grid, region.cols, width, images.width);
            let from = items.chunks_exact(plane).skip(region.image as usize * channels);
            for (to, from) in out.chunks_exact_mut(patch).zip(from) {
                let w = images.width as usize;
                let at = |r: usize, c: usize| from.get(r * w + c).copied().unwrap_or(pad);
                for (to, row) in to.chunks_exact_mut(width as usize).zip(&rows) {
                    for (to, col) in to.iter_mut().zip(&cols) {
                        *to = match (row, col) {
                            (Some(r), Some(c)) => r.mix(
                                c.mix(at(r.low, c.low), at(r.low, c.high)),
                                c.mix(at(r.high, c.low), at(r.high, c.high)),
                            ),
                            _ => pad,
                        };
                    }
                }
            }
        });
    }
    call.one(x.dtype(), &dims, out)
}

/// Boxes of the first form, `[box, 1, 4 or 5, 1, 1]`: of every image, or each of the image that it names first.
fn of_roi(call: &Call<'_>, images: Images) -> Result<(Vec<Region>, Vec<u64>), EvalError> {
    let roi = call.array("roi")?;
    let (boxes, each) = match *roi.dims() {
        [boxes, 1, each @ (4 | 5), 1, 1] => (boxes, each as usize),
        ref other => return Err(EvalError::bad("roi", format!("extents {other:?}"))),
    };
    let numbers = roi.to_f64s()?;
    let mut regions = Vec::new();
    for v in numbers.chunks_exact(each) {
        match *v {
            [a, b, c, d] => {
                for image in 0..images.batch {
                    regions.push(region(call, images, image, [a, b, c, d])?);
                }
            }
            [image, a, b, c, d] => {
                regions.push(region(call, images, index(image, images, "roi")?, [a, b, c, d])?)
            }
            _ => {}
        }
    }
    Ok((regions, vec![boxes, if each == 4 { images.batch } else { 1 }]))
}

/// Boxes of the second form, `[box, 4]`, with the images of `box_indices`, or each of the image of its own number.
fn of_boxes(call: &Call<'_>, images: Images) -> Result<(Vec<Region>, Vec<u64>), EvalError> {
    let given = call.array("boxes")?;
    let &[count, 4] = given.dims() else {
        return Err(EvalError::bad("boxes", format!("extents {:?}", given.dims())));
    };
    let indices = match call.find("box_indices")? {
        Some(a) if a.len() as u64 == count => a.to_f64s()?,
        Some(a) => return Err(EvalError::bad("box_indices", format!("{a:?} for {count} boxes"))),
        None => (0..count).map(|i| i as f64).collect(),
    };
    let numbers = given.to_f64s()?;
    let mut regions = Vec::with_capacity(indices.len());
    for (v, &image) in numbers.as_chunks::<4>().0.iter().zip(&indices) {
        regions.push(region(call, images, index(image, images, "box_indices")?, *v)?);
    }
    Ok((regions, vec![count]))
}

fn index(image: f64, images: Images, param: &str) -> Result<u64, EvalError> {
    if image >= 0.0 && image < images.batch as f64 {
        return Ok(image as u64);
    }
    Err(EvalError::bad(param, format!("there is no image {image} of {}", images.batch)))
}

fn region(call: &Call<'_>, images: Images, image: u64, v: [f64; 4]) -> Result<Region, EvalError> {
    let mode = call.text("box_coordinate_mode")?;
    let [a, b, c, d] = v;
    let middle = |at: f64, size: f64| (at - size / 2.0, at + size / 2.0);
    let (rows, cols) = match mode {
        "CORNERS_HEIGHT_FIRST" => ((a, c), (b, d)),
        "CORNERS_WIDTH_FIRST" => ((b, d), (a, c)),
        "CENTER_SIZE_HEIGHT_FIRST" => (middle(a, c), middle(b, d)),
        "CENTER_SIZE_WIDTH_FIRST" => (middle(b, d), middle(a, c)),
        other => {
            return Err(EvalError::bad("box_coordinate_mode", format!("{other:?} is no way to write a box")));
        }
    };
    let scale = call.float("spatial_scale")?;
    let normalized = call.flag("normalized_coordinates")?;
    let place = |(first, last): (f64, f64), n: u64| {
        let by = if normalized { scale * (n - 1) as f64 } else { scale };
        (first * by, last * by)
    };
    Ok(Region { image, rows: place(rows, images.height), cols: place(cols, images.width) })
}

/// What lies beyond an image.
#[derive(Clone, Copy)]
enum Beyond<T> {
    Value(T),
    Edge,
    /// Mirrored at the first and last element.
    Reflection,
    /// Mirrored at the outer edges of these.
    Symmetric,
}

/// How places are written.
#[derive(Clone, Copy)]
enum Places {
    Elements,
    MinusOneToOne,
    ZeroToOne,
}

struct Sampler<T> {
    bilinear: bool,
    beyond: Beyond<T>,
    places: Places,
    corners: bool,
}

impl<T: Real> Sampler<T> {
    fn of(call: &Call<'_>) -> Result<Self, EvalError> {
        let known = |param: &str| call.text(param).map(str::to_ascii_lowercase);
        let unknown = |param: &str, name: &str| Err(EvalError::bad(param, format!("{name:?} is not known")));
        Ok(Sampler {
            bilinear: match &*known("sampling_mode")? {
                "bilinear" => true,
                "nearest" => false,
                other => return unknown("sampling_mode", other),
            },
            beyond: match &*known("padding_mode")? {
                "constant" => Beyond::Value(T::of(call.float("padding_value")?)),
                "border" => Beyond::Edge,
                "reflection" => Beyond::Reflection,
                "symmetric" => Beyond::Symmetric,
                other => return unknown("padding_mode", other),
            },
            places: match &*known("coordinates_mode")? {
                "unnormalized" => Places::Elements,
                "normalized_minus_one_to_one" => Places::MinusOneToOne,
                "normalized_zero_to_one" => Places::ZeroToOne,
                other => return unknown("coordinates_mode", other),
            },
            corners: call.flag("align_corners")?,
        })
    }

    /// Where a coordinate lies on an axis of `n` elements; coordinates that are no number lie on the first.
    fn place(&self, at: f64, n: u64) -> f64 {
        let (last, n) = (n.saturating_sub(1) as f64, n as f64);
        let at = match (self.places, self.corners) {
            (Places::Elements, _) => at,
            (Places::MinusOneToOne, true) => (at + 1.0) / 2.0 * last,
            (Places::MinusOneToOne, false) => ((at + 1.0) * n - 1.0) / 2.0,
            (Places::ZeroToOne, true) => at * last,
            (Places::ZeroToOne, false) => at * n - 0.5,
        };
        let mirrored = |low: f64, span: f64| {
            let way = (at - low).abs();
            let rest = way % span;
            if (way / span).floor() % 2.0 == 0.0 { low + rest } else { low + span - rest }
        };
        let at = match self.beyond {
            Beyond::Value(_) => return if at.is_nan() { 0.0 } else { at },
            Beyond::Edge => at,
            Beyond::Reflection => mirrored(0.0, last),
            Beyond::Symmetric => mirrored(-0.5, n),
        };
        if at.is_nan() { 0.0 } else { at.clamp(0.0, last) }
    }

    fn read(&self, plane: &[T], images: Images, (x, y): (f64, f64)) -> T {
        let at = |row: f64, col: f64| {
            let inside = row >= 0.0 && row < images.height as f64 && col >= 0.0 && col < images.width as f64;
            let found = inside.then(|| plane.get(row as usize * images.width as usize + col as usize));
            match (found.flatten(), self.beyond) {
                (Some(&v), _) => v,
                (None, Beyond::Value(v)) => v,
                (None, _) => T::zero(),
            }
        };
        if !self.bilinear {
            return at(y.round_ties_even(), x.round_ties_even());
        }
        let (row, col) = (y.floor(), x.floor());
        let (down, right) = (y - row, x - col);
        let mix = |share: f64, low: T, high: &dyn Fn() -> T| match share {
            0.0 => low,
            s => low * T::of(1.0 - s) + high() * T::of(s),
        };
        let line = |row: f64| mix(right, at(row, col), &|| at(row, col + 1.0));
        mix(down, line(row), &|| line(row + 1.0))
    }
}

/// The image of each batch at its places `(x, y)`, of which there are `height * width` in each.
fn read_all<T: Real>(
    call: &Call<'_>,
    images: Images,
    sampler: &Sampler<T>,
    places: &[(f64, f64)],
    height: u64,
    width: u64,
) -> Computed {
    let x = call.array("x")?;
    let dims = [images.batch, images.channels, height, width];
    let mut out = call.zeros::<T>(&dims)?;
    if !out.is_empty() {
        let (size, channels) = ((height * width) as usize, images.channels as usize);
        let planes = call.items::<T>("x")?.par_chunks_exact(images.plane());
        out.par_chunks_mut(size).zip(planes).enumerate().for_each(|(i, (out, plane))| {
            let places = places.chunks_exact(size).nth(i / channels).unwrap_or_default();
            for (y, &at) in out.iter_mut().zip(places) {
                *y = sampler.read(plane, images, at);
            }
        });
    }
    call.one(x.dtype(), &dims, out)
}

fn resample<T: Real>(call: &Call<'_>) -> Computed {
    let images = Images::of(call)?;
    let sampler = Sampler::<T>::of(call)?;
    let coordinates = call.array("coordinates")?;
    let (height, width) = match *coordinates.dims() {
        [batch, height, width, 2] if batch == images.batch => (height, width),
        ref other => return Err(EvalError::bad("coordinates", format!("extents {other:?}"))),
    };
    drop(call.zeros::<f64>(&[images.batch, height, width, 4])?);
    let pairs = coordinates.to_f64s()?;
    let place = |&[x, y]: &[f64; 2]| (sampler.place(x, images.width), sampler.place(y, images.height));
    let places: Vec<(f64, f64)> = pairs.as_chunks::<2>().0.iter().map(place).collect();
    read_all(call, images, &sampler, &places, height, width)
}

fn affine<T: Real>(call: &Call<'_>) -> Computed {
    let images = Images::of(call)?;
    let sampler = Sampler::<T>::of(call)?;
    let matrix = call.array("transform_matrix")?;
    let shared = match *matrix.dims() {
        [1, 6] => true,
        [n, 6] if n == images.batch => false,
        ref other => return Err(EvalError::bad("transform_matrix", format!("extents {other:?}"))),
    };
    let size = |param: &str| match u64::try_from(call.int(param)?) {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(EvalError::bad(param, "a positive extent is needed")),
    };
    let (height, width) = (size("output_height")?, size("output_width")?);
    drop(call.zeros::<f64>(&[images.batch, height, width, 2])?);
    let numbers = matrix.to_f64s()?;
    // from -1 to 1 over the result, as the coordinates of the image are written
    let at = |i: u64, n: u64| match (sampler.corners, n) {
        (true, 1) => 0.0,
        (true, n) => 2.0 * i as f64 / (n - 1) as f64 - 1.0,
        (false, n) => (2 * i + 1) as f64 / n as f64 - 1.0,
    };
    let mut places = Vec::new();
    for batch in 0..images.batch as usize {
        let row = numbers.as_chunks::<6>().0.get(if shared { 0 } else { batch });
        let [a0, a1, a2, b0, b1, b2] = row.copied().unwrap_or([0.0; 6]);
        for i in 0..height {
            for j in 0..width {
                let (x, y) = (at(j, width), at(i, height));
                let (x, y) = (a0 * x + a1 * y + a2, b0 * x + b1 * y + b2);
                places.push((sampler.place(x, images.width), sampler.place(y, images.height)));
            }
        }
    }
    read_all(call, images, &sampler, &places, height, width)
}

#[cfg(test)]
mod tests;
