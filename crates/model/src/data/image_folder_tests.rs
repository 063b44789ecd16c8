//! Tests of image folders.

use super::super::load;
use super::super::testing::{colour, grey, message, shape};
use super::*;
use std::fs;

fn any() -> LoadOptions {
    LoadOptions::default()
}

fn classes(count: usize) -> LoadOptions {
    LoadOptions { classes: Some(count), ..any() }
}

fn of_shape(shape: ImageShape) -> LoadOptions {
    LoadOptions { shape: Some(shape), ..any() }
}

/// Class folders `cat` (grey 10) and `dog` (grey 200) with `n` images of 4x3 pixels each.
fn pets(dir: &Path, n: u32) {
    for i in 0..n {
        grey(&dir.join(format!("cat/{i}.png")), 4, 3, 10);
        grey(&dir.join(format!("dog/{i}.bmp")), 4, 3, 200);
    }
}

#[test]
fn labels_follow_their_images_in_a_shuffled_fixed_order() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path(), 8);
    fs::write(dir.path().join("README"), "loose").unwrap();
    fs::write(dir.path().join("cat/.DS_Store"), "hidden").unwrap();
    let train = load(dir.path(), &classes(2)).unwrap().train;
    assert_eq!((train.shape(), train.classes()), (shape(3, 4, 1), &["cat".to_owned(), "dog".to_owned()][..]));
    assert!((0..16).all(|i| train.image(i) == [[10, 200][train.labels()[i] as usize]; 12]));
    // Pinned: another order would change every validation split.
    assert_eq!(train.labels(), [1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0]);
    // SplitMix64's first output from seed 0, as published.
    assert_eq!(order(0, 0), 0xe220_a839_7b1d_cdaf);
    assert_eq!(load(dir.path(), &any()).unwrap().train, train);
}

#[test]
fn images_are_resized_and_turned_to_the_wanted_shape() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path(), 1);
    colour(&dir.path().join("dog/big.jpg"), 40, 30, [200, 200, 200]);
    let train = load(dir.path(), &of_shape(shape(2, 2, 3))).unwrap().train;
    assert!((0..3).all(|i| train.image(i).iter().all(|&b| b.abs_diff([10, 200][train.labels()[i] as usize]) <= 1)));
    assert_eq!(train.shape(), shape(2, 2, 3));
    assert!(message(load(dir.path(), &of_shape(shape(2, 2, 4)))).contains("4 channels, expected 1 (luma) or 3 (RGB)"));
    assert!(message(load(dir.path(), &of_shape(shape(0, 2, 1)))).contains("0x2x1 holds no pixels"));
    let huge = message(load(dir.path(), &of_shape(shape(u32::MAX, u32::MAX, 3))));
    assert!(huge.contains("the limit is 4294967296"), "{huge}");
}

#[test]
fn first_image_decides_colour_and_another_size_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    colour(&dir.path().join("only/a.png"), 4, 3, [1, 2, 3]);
    assert_eq!(load(dir.path(), &any()).unwrap().train.shape(), shape(3, 4, 3));
    colour(&dir.path().join("only/b.png"), 5, 3, [1, 2, 3]);
    let text = message(load(dir.path(), &any()));
    assert!(text.contains("3 like the first one, ") && text.contains("set the network's input shape"), "{text}");
}

#[test]
fn every_part_has_the_classes_to_train_on() {
    let dir = tempfile::tempdir().unwrap();
    pets(&dir.path().join("train"), 2);
    pets(&dir.path().join("valid"), 3);
    // A part of the classes is enough.
    grey(&dir.path().join("test/dog/0.png"), 4, 3, 200);
    let splits = load(dir.path(), &any()).unwrap();
    let (validation, test) = (splits.validation.unwrap(), splits.test.unwrap());
    assert_eq!((splits.train.len(), validation.len(), test.len(), test.shape()), (4, 6, 1, shape(3, 4, 1)));
    assert_eq!((test.classes(), validation.classes()), (splits.train.classes(), splits.train.classes()));
    assert_eq!(test.labels(), [1]);
    assert!((0..6).all(|i| validation.image(i) == [[10, 200][validation.labels()[i] as usize]; 12]));
    let names = [&splits.train, &validation, &test].map(|part| part.name().rsplit('/').next().unwrap());
    assert_eq!((names, splits.notes.len()), (["train", "validation", "test"], 0));
    grey(&dir.path().join("test/emu/0.png"), 4, 3, 1);
    let text = message(load(dir.path(), &any()));
    assert!(text.contains("test: classes that are not trained on: emu;"), "{text}");
}

#[test]
fn a_folder_of_its_own_is_validated_on() {
    let dir = tempfile::tempdir().unwrap();
    pets(&dir.path().join("a"), 2);
    grey(&dir.path().join("b/dog/0.png"), 40, 30, 200);
    let with =
        |folder: &str| load(&dir.path().join("a"), &any()).unwrap().with_validation(&dir.path().join(folder), &any());
    let validation = with("b").unwrap().validation.unwrap();
    assert_eq!((validation.shape(), validation.labels(), validation.classes().len()), (shape(3, 4, 1), &[1][..], 2));
    grey(&dir.path().join("b/emu/0.png"), 4, 3, 200);
    assert!(message(with("b")).contains("b: classes that are not trained on: emu;"));
    pets(&dir.path().join("c/train"), 1);
    pets(&dir.path().join("c/test"), 1);
    assert!(message(with("c")).contains("c: holds parts to train and to test on"));
}

#[test]
fn classes_of_digits_are_numbers() {
    let dir = tempfile::tempdir().unwrap();
    for class in 0..12 {
        grey(&dir.path().join(format!("{class}/0.png")), 2, 2, class);
    }
    let train = load(dir.path(), &any()).unwrap().train;
    assert_eq!(train.classes(), (0..12).map(|class| class.to_string()).collect::<Vec<_>>());
    assert!((0..12).all(|i| train.image(i) == [train.labels()[i] as u8; 4]));
}

#[test]
fn test_images_must_have_the_size_of_the_training_images() {
    let dir = tempfile::tempdir().unwrap();
    pets(&dir.path().join("train"), 1);
    pets(&dir.path().join("test"), 1);
    grey(&dir.path().join("test/cat/odd.png"), 9, 9, 1);
    assert!(message(load(dir.path(), &any())).contains("odd.png: image is 9x9 pixels"));
}

#[test]
fn halves_of_a_split_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    pets(&dir.path().join("test"), 1);
    assert!(message(load(dir.path(), &any())).contains("no train/ beside the other parts, expected train/CLASS/*"));
    fs::create_dir(dir.path().join("train")).unwrap();
    assert!(message(load(dir.path(), &any())).contains("train: no class folders"));
}

#[test]
fn train_with_images_is_a_class() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["train", "tram"] {
        grey(&dir.path().join(class).join("0.png"), 2, 2, 9);
    }
    assert_eq!(load(dir.path(), &any()).unwrap().train.classes(), ["train", "tram"]);
}

#[test]
fn what_is_no_image_is_skipped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &str| fs::write(dir.path().join(name), bytes).unwrap();
    pets(dir.path(), 2);
    let clean = load(dir.path(), &any()).unwrap();
    file("cat/desktop.ini", "[.ShellClassInfo]");
    file("dog/Desktop.INI", "[.ShellClassInfo]");
    file("cat/Thumbs.db", "x");
    file("dog/notes.txt", "dear diary");
    file("dog/LICENSE", "free");
    for folder in ["__MACOSX/cat", "cat/.git", "cat/old", "dog/more/deep", "bee"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    file("__MACOSX/cat/._0.png", "x");
    grey(&dir.path().join("cat/old/9.png"), 4, 3, 99);
    let found = load(dir.path(), &classes(2)).unwrap();
    assert_eq!(found.train, clean.train);
    let part = found.train.name();
    assert_eq!(
        found.notes,
        [
            "left out class folders without images: bee".to_owned(),
            format!("skipped 5 files that are no images in {part}: 2 .ini, 1 .db, 1 .txt, 1 without an ending"),
            format!("skipped what lies in folders within class folders of {part}: cat/old, dog/more"),
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_to_nothing_and_pipes_stop_nobody() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path(), 2);
    for name in ["cat/gone.png", "cat/gone.txt"] {
        std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join(name)).unwrap();
    }
    let pipe = std::process::Command::new("mkfifo").arg(dir.path().join("dog/pipe.png")).status().unwrap();
    assert!(pipe.success());
    let text = message(load(dir.path(), &any()));
    assert!(
        text.contains("2 of 6 images can't be read: cat/gone.png: can't be read: ") && text.contains("dog/pipe.png")
    );
    let found = load(dir.path(), &LoadOptions { skip_bad: true, ..any() }).unwrap();
    assert_eq!((found.train.len(), found.notes.len()), (4, 2), "{:?}", found.notes);
}

#[test]
fn an_empty_class_counts_where_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path(), 2);
    fs::create_dir(dir.path().join("bee")).unwrap();
    let three = load(dir.path(), &classes(3)).unwrap();
    assert_eq!((three.train.classes().join(" "), three.notes.len()), ("bee cat dog".to_owned(), 0));
    let text = message(load(dir.path(), &classes(4)));
    assert!(text.contains("2 class folders, expected 4; give the network's last layer 2 units"), "{text}");
    let divided = tempfile::tempdir().unwrap();
    pets(&divided.path().join("train"), 1);
    fs::create_dir(divided.path().join("train/bee")).unwrap();
    grey(&divided.path().join("val/bee/0.png"), 4, 3, 77);
    let splits = load(divided.path(), &any()).unwrap();
    assert_eq!((splits.train.classes().len(), splits.validation.unwrap().labels()), (3, &[0][..]));
}

#[test]
fn folders_at_the_wrong_height_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    pets(&dir.path().join("archive/images"), 2);
    let text = message(load(dir.path(), &any()));
    assert!(
        text.contains("folders in them: archive/images; name the folder whose sub-folders hold the images"),
        "{text}"
    );
    let text = message(load(&dir.path().join("archive/images/cat"), &any()));
    assert!(text.contains("no data set found"), "{text}");
    fs::create_dir(dir.path().join("ant")).unwrap();
    fs::write(dir.path().join("ant/t10k-labels-idx1-ubyte.gz"), "").unwrap();
    assert!(message(load(dir.path(), &any())).contains("ant: IDX files in a sub-folder; name this folder"));
}

#[test]
fn bad_images_are_named_all_at_once_or_skipped() {
    let dir = tempfile::tempdir().unwrap();
    pets(dir.path(), 4);
    let clean = load(dir.path(), &any()).unwrap().train;
    for name in ["cat/10.png", "dog/9.jpg", "dog/x.gif", "dog/y.tif"] {
        fs::write(dir.path().join(name), "no image").unwrap();
    }
    let text = message(load(dir.path(), &any()));
    assert!(text.contains(": 4 of 12 images can't be read: cat/10.png: can't be decoded as an image: "), "{text}");
    assert!(text.contains("; dog/9.jpg: ") && text.contains("; dog/x.gif: ") && !text.contains("y.tif"), "{text}");
    assert!(text.ends_with("; ... (4 in all); mend or remove them, or leave such files out with --skip-bad"), "{text}");
    let skipped = load(dir.path(), &LoadOptions { skip_bad: true, ..any() }).unwrap();
    let note = "left out 4 of 12 images that can't be read: cat/10.png, dog/9.jpg, dog/x.gif, dog/y.tif";
    assert_eq!(skipped.notes, [note]);
    // The order depends on the place in the folder, so only what is there is compared.
    let sorted = |data: &Dataset| {
        let mut all: Vec<_> = (0..data.len()).map(|i| (data.image(i).to_vec(), data.labels()[i])).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&skipped.train), sorted(&clean));
    // A bad first image decides nothing.
    fs::write(dir.path().join("cat/0.png"), "no image").unwrap();
    assert!(message(load(dir.path(), &any())).contains("0.png: can't be decoded as an image"));
    assert_eq!(load(dir.path(), &LoadOptions { skip_bad: true, ..any() }).unwrap().train.len(), 7);
    // Another size is no damage.
    grey(&dir.path().join("dog/odd.png"), 9, 9, 1);
    assert!(message(load(dir.path(), &LoadOptions { skip_bad: true, ..any() })).contains("odd.png: image is 9x9"));
}

#[test]
fn a_folder_is_prepared_as_prediction_prepares_it() {
    use super::super::prepare_image;
    let dir = tempfile::tempdir().unwrap();
    // Grey and colour, light and dark ground, smaller, as large and larger than the network.
    for (number, side) in [3, 8, 29].into_iter().enumerate() {
        for (ground, ink) in [(250u8, 30u8), (5, 220)] {
            let bar = |x: u32| if x % 3 == 1 { ink } else { ground };
            let grey = image::GrayImage::from_fn(side, side + 2, |x, y| image::Luma([bar(x).saturating_sub(y as u8)]));
            let rgb = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([bar(x), bar(y), 90]));
            fs::create_dir_all(dir.path().join("a")).unwrap();
            grey.save(dir.path().join(format!("a/{number}-{ground}.png"))).unwrap();
            fs::create_dir_all(dir.path().join("b")).unwrap();
            rgb.save(dir.path().join(format!("b/{number}-{ground}.jpg"))).unwrap();
        }
    }
    for (shape, prepare) in [
        (shape(8, 8, 1), Preparation::Plain),
        (shape(8, 8, 3), Preparation::Plain),
        (shape(8, 8, 1), Preparation::Mnist),
    ] {
        let train = load(dir.path(), &LoadOptions { prepare, ..of_shape(shape) }).unwrap().train;
        let mut predicted = Vec::new();
        for file in ["a", "b"].iter().flat_map(|class| fs::read_dir(dir.path().join(class)).unwrap().flatten()) {
            predicted.push(prepare_image(&file.path(), shape, prepare, Invert::Auto).unwrap().bytes);
        }
        let mut loaded: Vec<Vec<u8>> = (0..train.len()).map(|i| train.image(i).to_vec()).collect();
        predicted.sort();
        loaded.sort();
        assert_eq!(loaded, predicted, "{shape} {prepare:?}");
    }
}

#[cfg(unix)]
#[test]
fn class_names_are_text() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    // Where the file system takes only UTF-8 (macOS), such a name can't exist.
    if fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff"))).is_ok() {
        grey(&dir.path().join(std::ffi::OsStr::from_bytes(b"\xff")).join("0.png"), 2, 2, 9);
        assert!(message(load(dir.path(), &any())).contains("folder name is no valid UTF-8"));
    }
}
