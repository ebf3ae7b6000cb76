//! Bundles of the page's modules: a browser fetches two scripts instead of twenty.
//!
//! A bundle is the text of its modules one after the other, without comments and indentation. Its modules share one
//! scope, so a name at their top level is unique in the whole page; a test checks this. Imports between modules of a
//! bundle are removed, and imports from another bundle become one import.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A module: its path and its text.
pub type Module = (&'static str, &'static str);

/// Returns one script of these modules, each after those that it imports. Names from other modules are imported from
/// `outside`.
pub fn script(modules: &[Module], outside: &str) -> String {
    let mut bundle = Bundle { modules, added: BTreeSet::new(), imported: BTreeSet::new(), text: String::new() };
    for module in modules {
        bundle.add(module);
    }
    if !bundle.imported.is_empty() {
        let names = bundle.imported.into_iter().collect::<Vec<_>>().join(",");
        bundle.text.insert_str(0, &format!("import {{{names}}} from '{outside}';\n"));
    }
    bundle.text
}

struct Bundle<'a> {
    modules: &'a [Module],
    added: BTreeSet<&'a str>,
    imported: BTreeSet<&'a str>,
    text: String,
}

impl Bundle<'_> {
    /// Adds a module. Its imports are its first lines, so the modules that it imports come before its own code.
    fn add(&mut self, (name, text): &Module) {
        if !self.added.insert(name) {
            return;
        }
        for line in code(text) {
            match import(line) {
                Some((names, from)) => match self.modules.iter().find(|(name, _)| file_name(name) == file_name(from)) {
                    Some(module) => self.add(module),
                    None => self.imported.extend(names),
                },
                None => {
                    self.text += line;
                    self.text.push('\n');
                }
            }
        }
    }
}

/// Returns the names and the file of a line that imports from another module.
fn import(line: &str) -> Option<(Vec<&str>, &str)> {
    let (names, from) = line.strip_prefix("import { ")?.split_once(" } from '")?;
    Some((names.split(", ").collect(), from.strip_suffix("';")?))
}

/// Returns the last part of a path; a test checks that no two modules have the same.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
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
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::page::{PAGE, PANEL};

    #[test]
    fn a_bundle_orders_its_modules_and_imports_from_outside_alone() {
        let modules = [
            (
                "z/b.js",
                "import { one } from '../a.js';\nimport { x } from '../tools.js';\nexport const two = () => {\n  return one + x; // so\n};\n",
            ),
            ("a.js", "// Of a.\n\nimport { x, y } from './tools.js';\n/**\n * Of one.\n */\nexport const one = 1;\n"),
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
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/app");
        let all: Vec<Module> = PAGE.into_iter().chain(PANEL).collect();
        let mut names = BTreeSet::new();
        let mut imports = BTreeMap::new();
        for (module, text) in &all {
            let mut files = Vec::new();
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let (_, from) = import(line).unwrap_or_else(|| panic!("{module}: {line}"));
                let path = root.join(module).parent().unwrap().join(from);
                assert!(path.is_file(), "{module} imports from {from}, which is not there");
                files.push(file_name(from));
            }
            assert_eq!(imports.insert(file_name(module), files), None, "{module} shares its name");
            for name in text.lines().filter_map(declared) {
                assert!(names.insert(name), "{name}, of {module}, is declared twice");
            }
            // Text in backquotes that continues on the next line would lose its indentation.
            let open = text.lines().position(|line| !line.matches('`').count().is_multiple_of(2));
            assert_eq!(open.map(|line| line + 1), None, "{module}");
        }
        // Modules that import each other in a circle would remain.
        while let Some(leaf) = imports.iter().find(|(_, files)| files.is_empty()).map(|(file, _)| *file) {
            imports.remove(leaf);
            imports.values_mut().for_each(|files| files.retain(|file| *file != leaf));
        }
        assert!(imports.is_empty(), "circular or unknown imports: {imports:?}");
        // Only what is exported can be imported by the other bundle.
        let panel = script(&PANEL, "/page.js");
        let (names, _) = panel.strip_prefix("import {").unwrap().split_once('}').unwrap();
        let page = script(&PAGE, "");
        assert!(!page.starts_with("import "), "the page needs the panel's script");
        for name in names.split(',') {
            let exported = page.lines().filter(|line| line.starts_with("export ")).filter_map(declared);
            assert!(exported.into_iter().any(|known| known == name), "{name} is not exported");
        }
    }
}
