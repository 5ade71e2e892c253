// mlx-c defines its 16-bit float types on Arm only, and mlx-rs needs them everywhere.
// The set-up includes this file before every other one where the compiler is not for Arm.
#pragma once
#if !defined(__aarch64__)
#ifdef __cplusplus
#include "mlx/types/half_types.h"
using float16_t = mlx::core::float16_t;
using bfloat16_t = mlx::core::bfloat16_t;
#else
// For bindgen: mlx-rs expects bindgen's own tuple struct for the one and `u16` for the other.
typedef _Float16 float16_t;
typedef unsigned short bfloat16_t;
#endif
#define HAS_FLOAT16
#define HAS_BFLOAT16
#endif
