//! Bundles of the page's modules: a browser fetches two scripts instead of twenty.
//!
//! A bundle is the text of its modules one after the other, without comments and indentation. Its modules share one
//! scope, so a name at their top level is unique in the whole page; a test checks this. Imports between modules of a
//! bundle are removed, and imports from another bundle become one import.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A module: its file name and its text.
pub type Module = (&'static str, &'static str);

/// Returns one script of these modules, which must come in the order in which they import each other. Names from other
/// modules are imported from `outside`.
pub fn script(modules: &[Module], outside: &str) -> String {
    let mut imported = BTreeSet::new();
    let mut out = String::new();
    for (_, text) in modules {
        for line in code(text) {
            match import(line) {
                Some((_, from)) if modules.iter().any(|(name, _)| *name == from) => {}
                Some((names, _)) => imported.extend(names),
                None => {
                    out += line;
                    out.push('\n');
                }
            }
        }
    }
    if !imported.is_empty() {
        let names = imported.into_iter().collect::<Vec<_>>().join(",");
        out.insert_str(0, &format!("import {{{names}}} from '{outside}';\n"));
    }
    out
}

/// Returns the names and the file of a line that imports from a module beside it.
fn import(line: &str) -> Option<(Vec<&str>, &str)> {
    let (names, from) = line.strip_prefix("import { ")?.split_once(" } from './")?;
    Some((names.split(", ").collect(), from.strip_suffix("';")?))
}

/// Returns the lines of a script or a style sheet, without whole-line comments and without indentation.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let mut in_comment = false;
    text.lines().map(str::trim).filter(move |line| {
        let begins = line.starts_with("/*");
        let is_comment = in_comment || begins || line.starts_with("//");
        in_comment = (in_comment || begins) && !line.ends_with("*/");
        !line.is_empty() && !is_comment
    })
}

/// Returns a style sheet without whole-line comments and without indentation.
pub fn style(text: &str) -> String {
    code(text).fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{line}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{PAGE, PANEL};

    #[test]
    fn a_bundle_imports_from_outside_alone() {
        let modules = [
            ("a.js", "// Of a.\n\nimport { x, y } from './tools.js';\n/**\n * Of one.\n */\nexport const one = 1;\n"),
            (
                "b.js",
                "import { one } from './a.js';\nimport { x } from './tools.js';\nexport const two = () => {\n  return one + x; // so\n};\n",
            ),
        ];
        assert_eq!(
            script(&modules, "/page.js"),
            "import {x,y} from '/page.js';\nexport const one = 1;\nexport const two = () => {\nreturn one + x; // so\n};\n"
        );
    }

    #[test]
    fn style_keeps_its_rules() {
        assert_eq!(style("/* a\n   b */\n.x {\n  color: red; /* c */\n}\n"), ".x {\ncolor: red; /* c */\n}\n");
    }

    /// Returns the name that a line at the top level of a module declares.
    fn declared(line: &str) -> Option<&str> {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = ["const ", "let ", "function ", "class "].iter().find_map(|kind| line.strip_prefix(kind))?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').next()
    }

    #[test]
    fn modules_of_the_page_share_a_scope_without_a_clash() {
        let all: Vec<Module> = PAGE.into_iter().chain(PANEL).collect();
        let mut names = BTreeSet::new();
        for (at, (module, text)) in all.iter().enumerate() {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let (_, from) = import(line).unwrap_or_else(|| panic!("{module}: {line}"));
                assert!(
                    all[..at].iter().any(|(name, _)| *name == from),
                    "{module} imports from {from}, which comes later"
                );
            }
            for name in text.lines().filter_map(declared) {
                assert!(names.insert(name), "{name}, of {module}, is declared twice");
            }
            // Text in backquotes that continues on the next line would lose its indentation.
            let open = text.lines().position(|line| !line.matches('`').count().is_multiple_of(2));
            assert_eq!(open.map(|line| line + 1), None, "{module}");
        }
        // Only what is exported can be imported by the other bundle.
        let panel = script(&PANEL, "/page.js");
        let (names, _) = panel.strip_prefix("import {").unwrap().split_once('}').unwrap();
        let page = script(&PAGE, "");
        for name in names.split(',') {
            let exported = page.lines().filter(|line| line.starts_with("export ")).filter_map(declared);
            assert!(exported.into_iter().any(|known| known == name), "{name} is not exported");
        }
    }
}
