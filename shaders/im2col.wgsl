// Every window of a batch of images as a row of cols, padded with zeros.
// oy, ox number the windows, ky, kx their taps; a thread makes one element of cols.
// windows = batch*out_height*out_width, taps = kernel_height*kernel_width.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/im2col.rs

override batch: u32;
override height: u32;
override width: u32;
override channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride_height: u32;
override stride_width: u32;
override pad_top: u32;
override pad_left: u32;
override out_height: u32;
override out_width: u32;

alias StoredX = f32; // or f16
alias StoredCols = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read_write> cols: array<StoredCols>; // [windows, taps*channels]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * out_height * out_width * kernel_height * kernel_width * channels {
        return;
    }
    let channel = i % channels;
    let tap = i / channels;
    let kx = tap % kernel_width;
    let ky = tap / kernel_width % kernel_height;
    let window = tap / (kernel_width * kernel_height);
    let ox = window % out_width;
    let oy = window / out_width % out_height;
    let image = window / (out_width * out_height);

    let row = oy * stride_height + ky - pad_top;
    let column = ox * stride_width + kx - pad_left;
    var value = 0.0;
    if row < height && column < width {
        value = f32(x[((image * height + row) * width + column) * channels + channel]);
    }
    cols[i] = StoredCols(value);
}
