// Sum of all windows that cover each element of an image: the gradient of im2col.
// oy, ox number the windows; a thread makes one element of dx from the windows that hold it, in their order.
// windows = batch*out_height*out_width, taps = kernel_height*kernel_width.
// Rust: crates/kernels/src/col2im.rs

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

alias StoredCols = f32; // or f16
alias StoredDx = f32; // or f16

@group(0) @binding(0) var<storage, read> cols: array<StoredCols>; // [windows, taps*channels]
@group(0) @binding(1) var<storage, read_write> dx: array<StoredDx>; // [batch, height, width, channels]

// First window along one direction that reaches the padded position.
fn first_window(position: u32, kernel: u32, stride: u32) -> u32 {
    return select((position - kernel) / stride + 1u, 0u, position < kernel);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * height * width * channels {
        return;
    }
    let channel = i % channels;
    let pixel = i / channels;
    let column = pixel % width + pad_left;
    let row = pixel / width % height + pad_top;
    let image = pixel / (width * height);

    let oy_end = min(row / stride_height + 1u, out_height);
    let ox_end = min(column / stride_width + 1u, out_width);
    var sum = 0.0;
    for (var oy = first_window(row, kernel_height, stride_height); oy < oy_end; oy++) {
        for (var ox = first_window(column, kernel_width, stride_width); ox < ox_end; ox++) {
            let window = (image * out_height + oy) * out_width + ox;
            let tap = (row - oy * stride_height) * kernel_width + column - ox * stride_width;
            sum += f32(cols[(window * kernel_height * kernel_width + tap) * channels + channel]);
        }
    }
    dx[i] = StoredDx(sum);
}
