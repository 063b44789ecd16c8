// Convolution with bias, optional ReLU and a max pool of 2x2, without the image in between.
// oy, ox number the windows of the pool, ky, kx the taps of the kernel, c the channels; a thread makes four channels of a
// maximum, from the four pixels under it.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/conv2d_pool.rs

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
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<StoredY>>; // [batch, out_height/2, out_width/2, filters]
@group(0) @binding(4) var<storage, read_write> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4]

fn pixel(image: u32, oy: u32, ox: u32, vector: u32) -> vec4f {
    var sum = vec4f();
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let row = oy * stride_height + ky - pad_top;
            let column = ox * stride_width + kx - pad_left;
            if row < height && column < width {
                let x0 = ((image * height + row) * width + column) * channels;
                let weight0 = (ky * kernel_width + kx) * channels * (filters / 4u) + vector;
                for (var c = 0u; c < channels; c++) {
                    sum += f32(x[x0 + c]) * weight[weight0 + c * (filters / 4u)];
                }
            }
        }
    }
    return sum + bias[vector];
}

// As in max_pool, a NaN wins; by its bits, because a comparison may assume that there is none.
fn wins(z: vec4f, best: vec4f) -> vec4<bool> {
    return (z > best) | ((bitcast<vec4u>(z) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * (out_height / 2u) * (out_width / 2u) * (filters / 4u) {
        return;
    }
    let vector = i % (filters / 4u);
    let maximum = i / (filters / 4u);
    let ox = maximum % (out_width / 2u) * 2u;
    let oy = maximum / (out_width / 2u) % (out_height / 2u) * 2u;
    let image = maximum / ((out_width / 2u) * (out_height / 2u));

    var best = pixel(image, oy, ox, vector);
    var place = vec4u();
    for (var i = 1u; i < 4u; i++) {
        let z = pixel(image, oy + i / 2u, ox + i % 2u, vector);
        place = select(place, vec4u(i), wins(z, best));
        best = select(best, z, wins(z, best));
    }
    if relu == 1u {
        place = select(place, vec4u(4u), best <= vec4f());
        best = select(best, vec4f(), best <= vec4f());
    }
    y[i] = vec4<StoredY>(best);
    winner[i] = place.x | (place.y << 8u) | (place.z << 16u) | (place.w << 24u);
}
