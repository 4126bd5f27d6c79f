//! Each op against its definition: opset, parameters, constants. Missing parameters are found by inference.

use super::{Entity, Invariant, Violation, context};
use crate::ids::{OpId, Side, ValueId};
use crate::op::Effect;
use crate::program::{DialectId, Program};
use crate::schema::{Dialect, OpSchema, Opset, ParamKind};

pub(super) fn check(
    p: &Program,
    dialect: &dyn Dialect,
    ops: &[OpId],
    fixed: &Side<ValueId, bool>,
    found: &mut Vec<Violation>,
) {
    if p.dialect != DialectId::Mil {
        return;
    }
    for &id in ops {
        let op = p.op(id);
        if op.sealed {
            continue;
        }
        let mut report = |invariant, what| {
            let entity = Entity::Op(id);
            found.push(Violation { invariant, entity, context: context(p, entity), what });
        };
        let name = &p.function(p.func_of(id)).opset;
        let opset = Opset::from_name(name).unwrap_or(Opset::Ios26);
        match dialect.schema(&op.kind, opset) {
            Some(schema) => params(p, id, schema, fixed, &mut report),
            None if dialect.effect(&op.kind) != Effect::Opaque => {
                report(Invariant::Opset, format!("{} is not in {name}", op.kind));
            }
            None => {}
        }
    }
}

fn params(
    p: &Program,
    id: OpId,
    schema: &OpSchema,
    fixed: &Side<ValueId, bool>,
    report: &mut dyn FnMut(Invariant, String),
) {
    let op = p.op(id);
    for (i, o) in op.operands.iter().enumerate() {
        let Some(param) = schema.param(&o.param) else {
            report(Invariant::Param, format!("{} has no parameter {}", op.kind, o.param));
            continue;
        };
        let before = &op.operands[..i];
        let again = before.iter().rposition(|b| b.param == o.param);
        match (again, param.kind) {
            (Some(_), ParamKind::Value | ParamKind::Const) => {
                report(Invariant::Param, format!("{} is given twice", o.param));
            }
            (Some(at), ParamKind::Values) if at + 1 != i => {
                report(Invariant::Param, format!("the values of {} do not stand together", o.param));
            }
            _ => {}
        }
        if param.kind == ParamKind::Const && !fixed[o.value] {
            let what = format!("{} must be constant, {} is not", o.param, p.value(o.value).name);
            report(Invariant::Constant, what);
        }
    }
}
