//! Arrays in `.npz` files.

use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use anewrite_interp::{Array, Data, EvalError, Value};
use anewrite_tensor::DType;
use half::f16;
use npyz::npz::{array_name_from_file_name, file_name_from_array_name};
use npyz::{NpyFile, Order, TypeChar, WriterBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Features, bad};
use crate::Error;

pub(super) fn read(path: &Path, file: impl Read + Seek) -> Result<Features, Error> {
    let fail = |name: &str, e: String| bad(path, name, e);
    let mut archive = ZipArchive::new(file).map_err(|e| fail("", e.to_string()))?;
    let mut features = Features::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(|e| fail("", e.to_string()))?;
        let file = entry.name().map_err(|e| fail("", e.to_string()))?.into_owned();
        let Some(name) = array_name_from_file_name(&file).map(str::to_owned) else { continue };
        let npy = NpyFile::new(entry).map_err(|e| fail(&name, e.to_string()))?;
        let value = array(npy).map_err(|why| fail(&name, why))?;
        features.insert(name, value.into());
    }
    Ok(features)
}

fn array<R: Read>(npy: NpyFile<R>) -> Result<Array, String> {
    let dims = npy.shape().to_vec();
    let order = npy.order();
    let npyz::DType::Plain(ty) = npy.dtype() else { return Err("records are no tensors".into()) };
    let text = |e: std::io::Error| e.to_string();
    macro_rules! read {
        ($t:ty, $dtype:ident, |$x:ident| $to:expr) => {{
            let items: Vec<$t> = npy.into_vec().map_err(text)?;
            made(DType::$dtype, &dims, order, items.into_iter().map(|$x| $to).collect())
        }};
    }
    match (ty.type_char(), ty.size_field()) {
        (TypeChar::Float, 2) => read!(f16, F16, |x| x.to_f32()),
        (TypeChar::Float, 4) => read!(f32, F32, |x| x),
        (TypeChar::Float, 8) => read!(f64, F64, |x| x),
        (TypeChar::Int, 1) => read!(i8, I8, |x| i64::from(x)),
        (TypeChar::Int, 2) => read!(i16, I16, |x| i64::from(x)),
        (TypeChar::Int, 4) => read!(i32, I32, |x| i64::from(x)),
        (TypeChar::Int, 8) => read!(i64, I64, |x| x),
        (TypeChar::Uint, 1) => read!(u8, U8, |x| i64::from(x)),
        (TypeChar::Uint, 2) => read!(u16, U16, |x| i64::from(x)),
        (TypeChar::Uint, 4) => read!(u32, U32, |x| i64::from(x)),
        (TypeChar::Bool, _) => read!(bool, Bool, |x| x),
        (TypeChar::UnicodeStr, _) => {
            let items: Vec<String> = npy.into_vec().map_err(text)?;
            Array::texts(dims, items.into_iter().map(Arc::from).collect()).map_err(|e| e.to_string())
        }
        _ => Err(format!("no tensor has elements of the dtype {ty}")),
    }
}

fn made<T: anewrite_interp::Element>(
    dtype: DType,
    dims: &[u64],
    order: Order,
    items: Vec<T>,
) -> Result<Array, String> {
    let items = match order {
        Order::C => items,
        Order::Fortran => by_rows(dims, &items),
    };
    Array::new(dtype, dims.iter().copied(), items).map_err(|e: EvalError| e.to_string())
}

/// Elements that are stored with the first axis running fastest, in row-major order.
fn by_rows<T: Copy>(dims: &[u64], items: &[T]) -> Vec<T> {
    let mut strides = vec![0usize; dims.len()];
    let mut step = 1usize;
    for (stride, &d) in strides.iter_mut().zip(dims) {
        *stride = step;
        step = step.saturating_mul(d as usize);
    }
    let mut index = vec![0u64; dims.len()];
    let mut out = Vec::with_capacity(items.len());
    for _ in 0..items.len() {
        let at: usize = index.iter().zip(&strides).map(|(&i, &s)| i as usize * s).sum();
        out.extend(items.get(at));
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

/// Whether the file can hold the value.
pub(super) fn holds(v: &Value) -> bool {
    matches!(v, Value::Tensor(a) if a.as_texts().is_none()) || matches!(v, Value::State(_))
}

pub(super) fn write(
    path: &Path,
    file: impl Write + Seek,
    features: &[(&String, &Value)],
) -> Result<(), Error> {
    let mut archive = ZipWriter::new(file);
    for (name, value) in features {
        let array = match value {
            Value::State(s) => s.get(),
            v => v.tensor().map_err(|e| bad(path, name, e.to_string()))?.clone(),
        };
        put(&mut archive, name, &array).map_err(|e| bad(path, name, e.to_string()))?;
    }
    archive.finish().map_err(|e| bad(path, "", e.to_string()))?;
    Ok(())
}

fn put<W: Write + Seek>(archive: &mut ZipWriter<W>, name: &str, a: &Array) -> std::io::Result<()> {
    macro_rules! write {
        ($t:ty, $items:expr) => {{
            let options =
                SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
            archive.start_file(file_name_from_array_name(name), options)?;
            let options = npyz::WriteOptions::<$t>::new().default_dtype().shape(a.dims());
            let mut writer = options.writer(archive).begin_nd()?;
            writer.extend($items)?;
            writer.finish()
        }};
    }
    match (a.data(), a.dtype()) {
        (Data::F32(b), DType::F16) => write!(f16, b.iter().map(|&x| f16::from_f32(x))),
        (Data::F64(b), DType::F16) => write!(f16, b.iter().map(|&x| f16::from_f64(x))),
        (Data::F32(b), _) => write!(f32, b.iter().copied()),
        (Data::F64(b), DType::F32) => write!(f32, b.iter().map(|&x| x as f32)),
        (Data::F64(b), _) => write!(f64, b.iter().copied()),
        (Data::Bool(b), _) => write!(bool, b.iter().copied()),
        (Data::Int(b), DType::I8) => write!(i8, b.iter().map(|&x| x as i8)),
        (Data::Int(b), DType::U8) => write!(u8, b.iter().map(|&x| x as u8)),
        (Data::Int(b), DType::I16) => write!(i16, b.iter().map(|&x| x as i16)),
        (Data::Int(b), DType::U16) => write!(u16, b.iter().map(|&x| x as u16)),
        (Data::Int(b), DType::I32) => write!(i32, b.iter().map(|&x| x as i32)),
        (Data::Int(b), DType::U32) => write!(u32, b.iter().map(|&x| x as u32)),
        (Data::Int(b), _) => write!(i64, b.iter().copied()),
        (Data::Text(_), _) => Err(std::io::Error::other("text is not written into .npz files")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_axis_fastest_becomes_rows() {
        // numpy: np.asfortranarray([[1, 2, 3], [4, 5, 6]]).ravel("K") is 1 4 2 5 3 6
        assert_eq!(by_rows(&[2, 3], &[1, 4, 2, 5, 3, 6]), [1, 2, 3, 4, 5, 6]);
    }
}
