//! The two declarations that every kernel makes. Each is written once and read by Rust, by the CPU reference
//! and, through the contract test, against the WGSL file.

/// Declares a kernel's buffers in binding order: `Io` with a slice of each, for callers, and `Host` with the
/// contents of each, for the reference. `Read<f32 | f16>` may be bound to 16-bit floats too; the reference sees them
/// widened.
macro_rules! buffers {
    ($($(#[$doc:meta])* $name:ident: $kind:ident<$element:ident $(| $half:ident)?>),* $(,)?) => {
        /// Buffers of a call, in binding order.
        #[derive(Debug, Clone)]
        pub struct Io {
            $($(#[$doc])* pub $name: $crate::Slice,)*
        }

        impl Io {
            const BINDINGS: &'static [$crate::Binding] = &[$(
                $crate::Binding {
                    name: stringify!($name),
                    access: <$kind<'static, $element> as $crate::contract::Bound<'static>>::ACCESS,
                    element: <$kind<'static, $element> as $crate::contract::Bound<'static>>::ELEMENT,
                    half: false $(|| $crate::contract::is_half(stringify!($half)))?,
                },
            )*];

            /// The buffers of `call`, if it is one of this kernel.
            pub fn of(call: &$crate::Call) -> Option<Self> {
                if *call.kernel() != KERNEL {
                    return None;
                }
                let mut slices = call.buffers().iter().cloned();
                Some(Self { $($name: slices.next()?,)* })
            }

            pub(crate) fn into_slices(self) -> Vec<$crate::Slice> {
                vec![$(self.$name),*]
            }
        }

        /// Contents of the buffers, as the CPU sees them.
        struct Host<'a> {
            $($name: $kind<'a, $element>,)*
        }

        impl<'a> Host<'a> {
            fn new(operands: Vec<$crate::Operand<'a>>) -> Self {
                let mut operands = operands.into_iter();
                let mut next = move || match operands.next() {
                    Some(operand) => operand,
                    None => panic!("fewer operands than bindings"),
                };
                Self { $($name: $crate::contract::Bound::of(next()),)* }
            }
        }
    };
}

/// Declares a kernel's params struct; every field is a `u32` or an `f32` and an `override` of the same name.
macro_rules! params {
    ($($(#[$doc:meta])* $name:ident: $ty:ident),* $(,)?) => {
        /// Params of a call; each field reaches the WGSL as a pipeline-overridable constant of its name.
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct Params {
            $($(#[$doc])* pub $name: $ty,)*
        }

        impl Params {
            pub(crate) const FIELDS: &'static [$crate::Field] = &[$(
                $crate::Field { name: stringify!($name), ty: $crate::contract::field_type!($ty) },
            )*];

            pub(crate) fn to_words(self) -> Vec<u32> {
                bytemuck::cast_slice(&[self]).to_vec()
            }

            pub(crate) fn from_words(words: &[u32]) -> Self {
                bytemuck::pod_read_unaligned(bytemuck::cast_slice(words))
            }
        }
    };
}

macro_rules! field_type {
    (u32) => {
        $crate::FieldType::U32
    };
    (f32) => {
        $crate::FieldType::F32
    };
}

/// Whether `element` is the only other type that a buffer of floats may hold.
pub(crate) const fn is_half(element: &str) -> bool {
    matches!(element.as_bytes(), b"f16")
}

pub(crate) use {buffers, field_type, params};
