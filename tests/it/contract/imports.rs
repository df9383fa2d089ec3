//! The imports of each file of `src`, read from the sources. Each path is followed through re-exports to the file that defines the item.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree, Visibility};

/// The segments of a path.
type Segments = Vec<String>;

/// The sources of the crate, keyed by the path of the module.
pub(super) struct Imports {
    modules: BTreeMap<Segments, Module>,
}

/// One file, as a module.
pub(super) struct Module {
    /// Its path within `src`.
    pub(super) file: String,
    /// The names that it defines.
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Every path outside of `use`.
    paths: BTreeSet<Segments>,
}

/// One name of a `use`.
struct Use {
    path: Segments,
    /// The name under which the item is imported; `*` for everything.
    alias: String,
    is_export: bool,
}

/// What a path leads to.
enum Target<'a> {
    Module(Segments),
    /// An item, and the file that defines it.
    Item(&'a str),
}

impl Imports {
    pub(super) fn of(sources: &[(String, String)]) -> Self {
        let module = |(file, text): &(String, String)| (module_path(file), Module::parse(file, text));
        Self {
            modules: sources.iter().map(module).collect(),
        }
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = (&Segments, &Module)> {
        self.modules.iter()
    }

    /// The files that each file needs, and the names that it uses from each. A re-export alone does not count as a need.
    pub(super) fn needs(&self) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> {
        let mut needs = BTreeMap::new();
        for (at, module) in &self.modules {
            let of_file: &mut BTreeMap<&str, BTreeSet<&str>> = needs.entry(&*module.file).or_default();
            for path in module.needed() {
                if let Some(Target::Item(file)) = self.follow(at, path, 0)
                    && file != module.file
                {
                    let name = path.last().map_or("", |name| name);
                    of_file.entry(file).or_default().insert(name);
                }
            }
        }
        needs
    }

    /// The crates that a module names. The result also has names of the prelude and of local variables.
    pub(super) fn foreign<'a>(&'a self, at: &Segments, module: &'a Module) -> BTreeSet<&'a str> {
        let heads = module.all().filter_map(|path| path.first());
        let foreign = heads.filter(|head| !self.is_local(at, head));
        foreign.map(String::as_str).collect()
    }

    /// Whether `name` is an item, an import or a submodule of the module `at`.
    fn is_local(&self, at: &Segments, name: &str) -> bool {
        let is_known = self.modules.get(at).is_some_and(|module| module.knows(name));
        is_known || self.modules.contains_key(&below(at, name))
    }

    /// Follows `path`, which is written in the module `at`.
    fn follow<'a>(&'a self, at: &Segments, path: &'a [String], depth: usize) -> Option<Target<'a>> {
        if depth > 16 {
            return None;
        }
        let (head, rest) = path.split_first()?;
        match head.as_str() {
            "crate" | "arkloop" => self.walk(Vec::new(), rest, depth),
            "self" => self.walk(at.clone(), rest, depth),
            "super" => {
                let parent = at[..at.len().checked_sub(1)?].to_vec();
                match rest.first().map(String::as_str) {
                    Some("super") => self.follow(&parent, rest, depth + 1),
                    _ => self.walk(parent, rest, depth),
                }
            }
            _ if self.is_local(at, head) => self.walk(at.clone(), path, depth),
            _ => None,
        }
    }

    /// Follows `path` from inside the module `at`.
    fn walk<'a>(&'a self, at: Segments, path: &'a [String], depth: usize) -> Option<Target<'a>> {
        let Some((name, rest)) = path.split_first() else {
            return Some(Target::Module(at));
        };
        let child = below(&at, name);
        if self.modules.contains_key(&child) {
            return self.walk(child, rest, depth);
        }
        let module = self.modules.get(&at)?;
        if module.items.contains(name) {
            return Some(Target::Item(&module.file));
        }
        if let Some(import) = module.uses.iter().find(|import| import.alias == *name) {
            return match self.follow(&at, &import.path, depth + 1)? {
                Target::Module(found) => self.walk(found, rest, depth + 1),
                found @ Target::Item(_) => Some(found),
            };
        }
        let globs = module.uses.iter().filter(|import| import.alias == "*");
        globs
            .filter_map(|glob| self.follow(&at, &glob.path, depth + 1))
            .find_map(|target| match target {
                Target::Module(found) if found != at => self.walk(found, path, depth + 1),
                _ => None,
            })
    }
}

impl Module {
    fn parse(file: &str, text: &str) -> Self {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let items = parsed.items.iter().filter_map(item_name).collect();
        let mut module = Self {
            file: file.to_owned(),
            items,
            uses: Vec::new(),
            paths: BTreeSet::new(),
        };
        module.visit_file(&parsed);
        module
    }

    /// Whether this module defines or imports `name`.
    fn knows(&self, name: &str) -> bool {
        self.items.contains(name) || self.uses.iter().any(|import| import.alias == name)
    }

    /// The paths whose targets this file needs, without those that it only re-exports.
    fn needed(&self) -> impl Iterator<Item = &Segments> {
        let uses = self.uses.iter().filter(|import| !import.is_export);
        uses.map(|import| &import.path).chain(&self.paths)
    }

    /// Every path.
    pub(super) fn all(&self) -> impl Iterator<Item = &Segments> {
        self.uses.iter().map(|import| &import.path).chain(&self.paths)
    }

    /// The top-level modules of the crate that this module names; `at` is the path of this module.
    pub(super) fn tops<'a>(&'a self, at: &'a Segments) -> BTreeSet<&'a str> {
        let named = self.all().filter_map(|path| match path.split_first()? {
            (head, rest) if head == "crate" || head == "arkloop" => rest.first(),
            (head, _) if head == "super" => {
                let climbs = path.iter().take_while(|segment| *segment == "super").count();
                if climbs == at.len() {
                    path.get(climbs)
                } else {
                    at.first()
                }
            }
            _ => None,
        });
        named.map(String::as_str).collect()
    }

    fn add_use(&mut self, tree: &UseTree, before: &Segments, is_export: bool) {
        match tree {
            UseTree::Path(path) => {
                let before = below(before, &path.ident.to_string());
                self.add_use(&path.tree, &before, is_export);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, before, is_export);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.import(before.clone(), before.last().cloned(), is_export);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.import(below(before, &name), Some(name), is_export);
            }
            UseTree::Rename(rename) => {
                let path = below(before, &rename.ident.to_string());
                self.import(path, Some(rename.rename.to_string()), is_export);
            }
            UseTree::Glob(_) => self.import(before.clone(), Some("*".to_owned()), is_export),
        }
    }

    fn import(&mut self, path: Segments, alias: Option<String>, is_export: bool) {
        let alias = alias.unwrap_or_default();
        self.uses.push(Use {
            path,
            alias,
            is_export,
        });
    }

    /// Adds the paths in tokens that are not parsed: arguments of macros and attributes.
    fn add_tokens(&mut self, tokens: &str) {
        let text = tokens.replace(" :: ", "::");
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for path in text.split(|c| !is_path(c)).filter(|path| path.contains("::")) {
            let segments = path.split("::").filter(|segment| !segment.is_empty());
            self.paths.insert(segments.map(str::to_owned).collect());
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_export = !matches!(item.vis, Visibility::Inherited);
        self.add_use(&item.tree, &Vec::new(), is_export);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.paths
            .insert(segments.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.add_tokens(&call.tokens.to_string());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(&list.tokens.to_string());
        }
    }
}

/// `http/api/user.rs` as `["http", "api", "user"]`.
fn module_path(file: &str) -> Segments {
    let segments = file.trim_end_matches(".rs").split('/');
    let mut path: Segments = segments.map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

fn below(path: &Segments, name: &str) -> Segments {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && matches!(&attribute.meta, Meta::List(list) if list.tokens.to_string() == "test")
}
