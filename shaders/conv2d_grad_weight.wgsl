// Gradient of a convolution's weights and of its bias, in shares of the output's lines.
// oy, ox number the windows, ky, kx their taps, c the channels, f the filters; a thread makes one element of grad.
// Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
// Rust: crates/kernels/src/conv2d_grad_weight.rs

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
override splits: u32;
override bias_offset: u32;

alias StoredX = f32; // or f16
alias StoredDy = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> dy: array<StoredDy>; // [batch, out_height, out_width, filters], half if pooled
@group(0) @binding(2) var<storage, read> winner: array<u32>; // [batch, out_height/2, out_width/2, filters/4] if pooled
@group(0) @binding(3) var<storage, read_write> grad: array<f32>; // [splits, bias_offset + filters]

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
    let len = bias_offset + filters;
    if i >= splits * len {
        return;
    }
    let weights = kernel_height * kernel_width * channels * filters;
    let at = i % len;
    if at >= weights && at < bias_offset {
        grad[i] = 0.0;
        return;
    }
    // The bias is the weight of an input that is always 1.
    let is_bias = at >= bias_offset;
    let f = select(at, at - bias_offset, is_bias) % filters;
    let c = at / filters % channels;
    let kx = at / (filters * channels) % kernel_width;
    let ky = at / (filters * channels * kernel_width);

    let lines = batch * out_height;
    let share = (lines + splits - 1u) / splits;
    let first = min(i / len * share, lines);
    let last = min(first + share, lines);
    var sum = 0.0;
    for (var line = first; line < last; line++) {
        let image = line / out_height;
        let oy = line % out_height;
        let row = oy * stride_height + ky - pad_top;
        for (var ox = 0u; ox < out_width; ox++) {
            let column = ox * stride_width + kx - pad_left;
            if is_bias {
                sum += dz(image, oy, ox, f);
            } else if row < height && column < width {
                sum += f32(x[((image * height + row) * width + column) * channels + c]) * dz(image, oy, ox, f);
            }
        }
    }
    grad[i] = sum;
}
