// Convolution with bias, optionally followed by a ReLU.
// oy, ox number the windows, ky, kx their taps, c the channels, f the filters; a thread makes one element of y.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/conv2d.rs

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
override filters: u32;
override relu: u32;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<f32>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<f32>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<StoredY>; // [batch, out_height, out_width, filters]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * out_height * out_width * filters {
        return;
    }
    let f = i % filters;
    let pixel = i / filters;
    let ox = pixel % out_width;
    let oy = pixel / out_width % out_height;
    let image = pixel / (out_width * out_height);

    var sum = 0.0;
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let row = oy * stride_height + ky - pad_top;
            let column = ox * stride_width + kx - pad_left;
            if row < height && column < width {
                let x0 = ((image * height + row) * width + column) * channels;
                let weight0 = (ky * kernel_width + kx) * channels * filters + f;
                for (var c = 0u; c < channels; c++) {
                    sum += f32(x[x0 + c]) * weight[weight0 + c * filters];
                }
            }
        }
    }
    let z = sum + bias[f];
    // Not max: that may turn a NaN into 0.
    y[i] = StoredY(select(z, 0.0, relu == 1u && z < 0.0));
}
