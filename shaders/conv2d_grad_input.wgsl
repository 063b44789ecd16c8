// Gradient of a convolution's images.
// oy, ox number the windows, ky, kx their taps, f the filters; a thread makes one element of dx from the windows on it.
// Rust: crates/kernels/src/conv2d_grad_input.rs

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
override pooled: u32;
override relu: u32;

alias StoredDy = f32; // or f16
alias StoredX = f32; // or f16
alias StoredDx = f32; // or f16

@group(0) @binding(0) var<storage, read> dy: array<StoredDy>; // [batch, out_height, out_width, filters], half if pooled
@group(0) @binding(1) var<storage, read> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4] if pooled
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(3) var<storage, read> x: array<StoredX>; // [batch, height, width, channels] if relu
@group(0) @binding(4) var<storage, read_write> dx: array<StoredDx>; // [batch, height, width, channels]

// Gradient of an output in front of the pool.
fn dz(image: u32, oy: u32, ox: u32, f: u32) -> f32 {
    if pooled == 0u {
        return f32(dy[((image * out_height + oy) * out_width + ox) * filters + f]);
    }
    if oy / 2u >= out_height / 2u || ox / 2u >= out_width / 2u {
        return 0.0;
    }
    let i = ((image * (out_height / 2u) + oy / 2u) * (out_width / 2u) + ox / 2u) * filters + f;
    let won = (winner[i / 4u] >> (8u * (i % 4u))) & 255u;
    return select(0.0, f32(dy[i]), won == oy % 2u * 2u + ox % 2u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * height * width * channels {
        return;
    }
    let c = i % channels;
    let pixel = i / channels;
    let column = pixel % width + pad_left;
    let row = pixel / width % height + pad_top;
    let image = pixel / (width * height);

    var sum = 0.0;
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let oy = (row - ky) / stride_height;
            let ox = (column - kx) / stride_width;
            let meets = (row - ky) % stride_height == 0u && (column - kx) % stride_width == 0u;
            if row >= ky && column >= kx && meets && oy < out_height && ox < out_width {
                let weight0 = ((ky * kernel_width + kx) * channels + c) * filters;
                for (var f = 0u; f < filters; f++) {
                    sum += dz(image, oy, ox, f) * weight[weight0 + f];
                }
            }
        }
    }
    if relu == 1u {
        sum = select(0.0, sum, f32(x[i]) > 0.0);
    }
    dx[i] = StoredDx(sum);
}
