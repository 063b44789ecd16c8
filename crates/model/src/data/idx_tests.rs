//! Tests of the IDX reader: its errors, and that no damaged file makes it panic.

use super::super::load;
use super::super::testing::{gzip, idx, message, shape};
use super::*;
use std::fs;

/// A folder with a training pair: 3 images of 2x2 pixels with labels 0, 2, 1.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, TRAIN[0], &idx(&[3, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    write(&dir, &format!("{}.gz", TRAIN[1]), &gzip(&idx(&[3], &[0, 2, 1])));
    dir
}

fn write(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) {
    fs::write(dir.path().join(name), bytes).unwrap();
}

/// The message of loading [`folder`] with one file replaced.
fn message_with(name: &str, bytes: &[u8]) -> String {
    let dir = folder();
    write(&dir, name, bytes);
    let text = message(load(dir.path(), &LoadOptions::default()));
    assert!(text.starts_with(&format!("{}: ", dir.path().join(name).display())), "{text}");
    text
}

/// The message of loading [`folder`] with the training images replaced by `bytes`, gzipped as they are.
fn message_with_gz(bytes: &[u8]) -> String {
    let dir = folder();
    fs::remove_file(dir.path().join(TRAIN[0])).unwrap();
    write(&dir, &format!("{}.gz", TRAIN[0]), bytes);
    message(load(dir.path(), &LoadOptions::default()))
}

#[track_caller]
fn assert_ends(text: &str, end: &str) {
    assert!(text.ends_with(end), "{text}\ndoes not end with\n{end}");
}

#[test]
fn train_pair_alone_loads_plain_and_gzipped() {
    let dir = folder();
    let splits = load(dir.path(), &LoadOptions::default()).unwrap();
    assert!(splits.test.is_none());
    assert_eq!((splits.train.shape(), splits.train.len()), (shape(2, 2, 1), 3));
    assert_eq!((splits.train.image(1), splits.train.labels()), (&[4, 5, 6, 7][..], &[0, 2, 1][..]));
    assert_eq!(splits.train.classes(), ["0", "1", "2"]);
    assert!(splits.train.name().ends_with("/train"));
    assert_eq!(
        load(dir.path(), &LoadOptions { shape: Some(shape(2, 2, 1)), classes: Some(10), ..LoadOptions::default() })
            .unwrap()
            .train
            .classes()
            .len(),
        10
    );
}

#[test]
fn test_pair_widens_the_class_list_of_both() {
    let dir = folder();
    write(&dir, TEST[0], &idx(&[1, 2, 2], &[9; 4]));
    write(&dir, TEST[1], &idx(&[1], &[6]));
    let splits = load(dir.path(), &LoadOptions::default()).unwrap();
    let test = splits.test.unwrap();
    assert_eq!((splits.train.classes().len(), test.classes().len()), (7, 7));
    assert_eq!((test.labels(), test.image(0)), (&[6][..], &[9; 4][..]));
}

#[test]
fn images_that_prediction_would_invert_are_noted() {
    let dir = folder();
    let drawings = LoadOptions { prepare: Preparation::Mnist, ..LoadOptions::default() };
    assert!(load(dir.path(), &drawings).unwrap().notes.is_empty());
    write(&dir, TRAIN[0], &idx(&[3, 2, 2], &[255, 250, 9, 200, 1, 2, 3, 4, 255, 255, 255, 255]));
    let notes = load(dir.path(), &drawings).unwrap().notes;
    assert!(notes.len() == 1 && notes[0].contains("2 of 3 images have a light border"), "{notes:?}");
    assert!(load(dir.path(), &LoadOptions::default()).unwrap().notes.is_empty());
}

#[test]
fn rank_4_has_channels_last() {
    let dir = folder();
    write(&dir, TRAIN[0], &idx(&[3, 1, 2, 3], &[7; 18]));
    assert_eq!(load(dir.path(), &LoadOptions::default()).unwrap().train.shape(), shape(1, 2, 3));
}

#[test]
fn concatenated_gzip_members_are_one_file() {
    let bytes = idx(&[3, 1, 1], &[1, 2, 3]);
    let dir = folder();
    fs::remove_file(dir.path().join(TRAIN[0])).unwrap();
    write(&dir, &format!("{}.gz", TRAIN[0]), &[gzip(&bytes[..9]), gzip(&bytes[9..])].concat());
    assert_eq!(load(dir.path(), &LoadOptions::default()).unwrap().train.images(), [1, 2, 3]);
}

#[test]
fn wrong_magic_numbers_say_what_the_file_may_be() {
    let labels = message_with(TRAIN[0], &idx(&[3], &[0, 2, 1]));
    assert_ends(
        &labels,
        "wrong magic number 0x00000801, expected 0x00000803 (unsigned bytes, 3 dimensions) or 0x00000804 \
         (4 dimensions); is this the labels file?",
    );
    let images = message_with(TRAIN[1], &idx(&[3, 1, 1], &[0, 2, 1]));
    assert_ends(&images, "expected 0x00000801 (unsigned bytes, 1 dimension); is this the images file?");
    assert_ends(&message_with(TRAIN[0], &gzip(b"x")), "; this is gzip data: add .gz to the file's name");
    let floats = [0, 0, 0x0d, 3, 0, 0, 0, 1];
    assert!(message_with(TRAIN[0], &floats).contains("wrong magic number 0x00000d03"));
}

#[test]
fn sizes_must_match_exactly() {
    let short = message_with(TRAIN[0], &idx(&[3, 2, 2], &[0; 11]));
    assert_ends(&short, "header announces 3x2x2 = 12 bytes, found only 11; download or copy the file again");
    let long = message_with(TRAIN[0], &idx(&[3, 2, 2], &[0; 99]));
    assert_ends(&long, "header announces 3x2x2 = 12 bytes, found more; download or copy the file again");
    assert_ends(
        &message_with(TRAIN[1], &idx(&[3], &[0; 4])),
        "3 = 3 bytes, found more; download or copy the file again",
    );
    assert!(message_with_gz(&gzip(&idx(&[3, 2, 2], &[0; 13]))).contains("found more"));
    assert!(message_with(TRAIN[0], &[0, 0, 8]).contains("inside the header: 3 bytes, expected at least 4"));
    assert!(message_with(TRAIN[0], &[0, 0, 8, 3, 0]).contains("inside the header: 5 bytes, expected at least 16"));
}

#[test]
fn header_is_not_believed() {
    let huge = message_with(TRAIN[0], &idx(&[u32::MAX, u32::MAX, u32::MAX, u32::MAX], &[]));
    assert!(huge.contains("340282366604025813516997721482669850625 bytes of data, the limit is 4294967296"), "{huge}");
    // Under the limit: must fail by the bytes that are there, without the announced 4 GB being allocated.
    let large = message_with(TRAIN[0], &idx(&[4_000_000_000, 1, 1], &[1, 2, 3]));
    assert!(large.contains("found only 3"), "{large}");
    assert_ends(&message_with(TRAIN[0], &idx(&[0, 2, 2], &[])), "no examples, expected at least one");
    assert!(message_with(TRAIN[0], &idx(&[3, 0, 2], &[])).contains("image shape 0x2x1 holds no pixels"));
}

#[test]
fn damaged_gzip_is_told() {
    let whole = gzip(&idx(&[3, 2, 2], &[5; 12]));
    let mut bad_checksum = whole.clone();
    let crc = whole.len() - 8;
    bad_checksum[crc] ^= 1;
    for bytes in [
        &whole[..whole.len() - 4],
        &bad_checksum,
        b"no gzip at all, but long enough",
        &[whole.as_slice(), b"junk"].concat(),
    ] {
        assert!(message_with_gz(bytes).contains("broken gzip data: "), "{}", message_with_gz(bytes));
    }
}

#[test]
fn labels_must_fit_images_and_classes() {
    let count = message_with(TRAIN[1], &idx(&[4], &[0; 4]));
    assert_ends(&count, "4 labels for 3 images, expected one label per image; do the files belong together?");
    let dir = folder();
    assert_ends(
        &message(load(dir.path(), &LoadOptions { shape: None, classes: Some(2), ..LoadOptions::default() })),
        "train-labels-idx1-ubyte.gz: label 2 at index 1, expected less than the number of classes, 2",
    );
    assert_ends(
        &message(load(
            dir.path(),
            &LoadOptions { shape: Some(shape(3, 2, 1)), classes: None, ..LoadOptions::default() },
        )),
        "train-images-idx3-ubyte: images are 2x2x1, expected 3x2x1; set the network's input to 2x2x1",
    );
}

#[test]
fn half_a_pair_is_an_error() {
    let dir = folder();
    write(&dir, TEST[1], &idx(&[1], &[0]));
    let text = message(load(dir.path(), &LoadOptions::default()));
    assert_ends(
        &text,
        "t10k-images-idx3-ubyte: no such file, and none with .gz; expected it beside the other IDX files",
    );
    fs::remove_file(dir.path().join(TRAIN[0])).unwrap();
    assert!(message(load(dir.path(), &LoadOptions::default())).contains("train-images-idx3-ubyte: no such file"));
    fs::create_dir(dir.path().join(TRAIN[0])).unwrap();
    assert_ends(&message(load(dir.path(), &LoadOptions::default())), "expected a file, found something else");
}

#[test]
fn test_images_have_the_training_images_shape() {
    let dir = folder();
    write(&dir, TEST[0], &idx(&[1, 1, 2], &[9; 2]));
    write(&dir, TEST[1], &idx(&[1], &[0]));
    assert!(message(load(dir.path(), &LoadOptions::default())).contains("images are 1x2x1, expected 2x2x1"));
}

#[test]
fn every_truncation_is_an_error() {
    let plain = idx(&[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let gzipped = gzip(&plain);
    (0..plain.len()).for_each(|n| drop(message_with(TRAIN[0], &plain[..n])));
    (0..gzipped.len()).for_each(|n| drop(message_with_gz(&gzipped[..n])));
}

#[test]
fn no_damaged_byte_makes_the_reader_panic() {
    let plain = idx(&[3, 2, 2], &[1; 12]);
    for bytes in [plain.clone(), gzip(&plain)] {
        for (i, flip) in (0..bytes.len()).flat_map(|i| [1, 0x10, 0x80, 0xff].map(|flip| (i, flip))) {
            let mut damaged = bytes.clone();
            damaged[i] ^= flip;
            let _ = read_images(&mut MultiGzDecoder::new(damaged.as_slice()), None);
            let _ = read_images(&mut damaged.as_slice(), None);
            let _ = read_labels(&mut damaged.as_slice(), 3);
        }
    }
}
