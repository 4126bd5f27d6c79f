//! The before and after of every rule's page.

use anewrite_ir::mil::Mil;
use anewrite_passes_canonical::rules;
use anewrite_testkit::{Bench, check_page};

#[test]
fn every_page_does_what_it_says() {
    for rule in rules() {
        check_page(&Bench { rule: *rule, dialect: &Mil, limits: &[] });
    }
}
