//! Tables on a real disk, for the unit tests of this crate.

use crate::catalog::{Catalog, Table};
use std::fs;

/// A granted directory that vanishes with this value.
pub struct Granted {
    pub directory: tempfile::TempDir,
    pub catalog: Catalog,
}

impl Granted {
    /// Writes the files and grants their directory.
    pub fn new(files: &[(&str, &[u8])]) -> Granted {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let catalog = Catalog::new([directory.path().to_str().unwrap().to_string()]);
        Granted { directory, catalog }
    }

    /// The full name of a file, as a table has it.
    pub fn name(&self, file: &str) -> String {
        format!("{}/{file}", &self.directory.path().to_str().unwrap()[1..])
    }

    pub fn table(&self, file: &str) -> Table {
        self.catalog.table(&self.name(file)).unwrap()
    }
}
