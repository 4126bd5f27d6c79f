//! Programs of real models read back from their text: those under testdata/, and those in the folders that
//! `ANEWRITE_MODELS` names (separated by colons).

use std::path::{Path, PathBuf};

use anewrite_ir::text::{BlobRef, BlobText, ParseOptions, PrintOptions, Style, parse_with, print};
use anewrite_ir::{Binding, Id, Program, TensorType, ValueId};

fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel" | "mlpackage") => out.push(path),
            _ if path.is_dir() => models(&path, out),
            _ => {}
        }
    }
}

/// The same ops, in the same order, with the same types and constants; names only in the full style.
fn same(p: &Program, q: &Program, style: Style, path: &Path) {
    let at = path.display();
    assert_eq!(p.op_count(), q.op_count(), "{at}");
    assert_eq!((p.dialect, &p.attrs), (q.dialect, &q.attrs), "{at}");
    for (a, b) in p.all_ops().zip(q.all_ops()) {
        let (a, b) = (p.op(a), q.op(b));
        assert_eq!((&a.kind, a.sealed), (&b.kind, b.sealed), "{at}");
        assert_eq!(format!("{:?}", a.attrs), format!("{:?}", b.attrs), "{at}");
        for (&r, &s) in a.results.iter().zip(&b.results) {
            let (v, w) = (p.value(r), q.value(s));
            assert_eq!((&v.ty, &v.name, v.pinned), (&w.ty, &w.name, w.pinned), "{at}");
        }
        assert_eq!((a.results.len(), a.operands.len()), (b.results.len(), b.operands.len()), "{at}");
        if style == Style::Full {
            assert_eq!(a.name, b.name, "{at}");
        }
        // the text puts attributes behind the arguments
        let order = |o: &anewrite_ir::Op| {
            let mut all = o.operands.clone();
            all.sort_by_key(|x| x.binding == Binding::Attribute);
            all
        };
        for (x, y) in order(a).iter().zip(&order(b)) {
            assert_eq!(x.param, y.param, "{at}");
            match (p.constant(x.value), q.constant(y.value)) {
                (Some(c), Some(d)) => assert!(c.tensor.same_bits(&d.tensor), "{at}: {}", x.param),
                (None, None) => assert_eq!(p.value(x.value).name, q.value(y.value).name, "{at}"),
                _ => panic!("{at}: {} is constant on one side only", x.param),
            }
        }
    }
}

#[test]
fn every_model_reads_back_from_its_text() {
    let mut paths = Vec::new();
    models(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata"), &mut paths);
    for folder in std::env::var("ANEWRITE_MODELS").unwrap_or_default().split(':').filter(|f| !f.is_empty()) {
        models(Path::new(folder), &mut paths);
    }
    let mut programs = 0;
    for path in &paths {
        let Ok(source) = coreml_package::open(path) else { continue };
        let Ok(document) = anewrite_convert::import(&source) else { continue };
        for part in &document.parts {
            let p = &part.program;
            let place = |v: ValueId| Some(BlobRef { path: "v".into(), offset: v.index() as u64 });
            let fetch = |b: &BlobText, _: &TensorType| {
                let id = b.offset.ok_or_else(|| format!("a small constant does not print: {b:?}"))?;
                Ok(p.constant(ValueId::from_index(id as usize)).ok_or("no constant")?.tensor.clone())
            };
            for style in [Style::Full, Style::Short] {
                let options =
                    PrintOptions { style, blobs: Some(&place), digest: false, ..Default::default() };
                let text = print(p, &options);
                let q = parse_with(&text, &ParseOptions { blobs: Some(&fetch), dialect: None })
                    .unwrap_or_else(|e| panic!("{}: {e}\n{text}", path.display()));
                same(p, &q, style, path);
                let options = PrintOptions { blobs: None, ..options };
                assert!(print(&q, &options) == print(p, &options), "{}", path.display());
            }
            programs += 1;
        }
    }
    assert!(programs > 0 || paths.is_empty(), "none of {} models was read", paths.len());
}
