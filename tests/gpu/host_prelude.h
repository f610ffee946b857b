// Enough of CUDA for g++: a block's threads are fibres that take turns and stop at barriers and warp functions.
#include <cmath>
#include <climits>
#include <cfloat>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint3_ { unsigned x, y, z; };
struct int2 { int x, y; };
struct int4 { int x, y, z, w; };
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct char4 { signed char x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
#define __expf std::exp
template <class T> static inline T max(T a, T b) { return a > b ? a : b; }
template <class T> static inline T min(T a, T b) { return a < b ? a : b; }

enum State { READY, AT_BLOCK, AT_WARP, DONE };
struct Fibre {
  ucontext_t context;
  std::vector<char> stack;
  State state;
  unsigned mask;
  int turn;
  uint3_ thread;
};
static std::vector<Fibre> fibres;
static ucontext_t scheduler;
static int current;
static uint32_t exchange[2][1024];
static uint3_ blockIdx, blockDim, gridDim;
static char* dynamic_shared;
static void (*body)(void**);
static void** arguments;
#define threadIdx (fibres[current].thread)

static void wait_for(State state, unsigned mask) {
  fibres[current].state = state;
  fibres[current].mask = mask;
  swapcontext(&fibres[current].context, &scheduler);
}
static void __syncthreads() { wait_for(AT_BLOCK, 0); }
static void __syncwarp(unsigned mask = 0xffffffffu) { wait_for(AT_WARP, mask); }

template <class T> static T from_lane(unsigned mask, T value, int lane) {
  int me = current, turn = fibres[me].turn ^= 1;
  memcpy(&exchange[turn][me], &value, 4);
  wait_for(AT_WARP, mask);
  T result;
  memcpy(&result, &exchange[turn][me / 32 * 32 + lane], 4);
  return result;
}
template <class T> static T __shfl_xor_sync(unsigned mask, T v, int d) { return from_lane(mask, v, (current % 32) ^ d); }
template <class T> static T __shfl_down_sync(unsigned mask, T v, int d) {
  int lane = current % 32;
  return from_lane(mask, v, lane + d < 32 ? lane + d : lane);
}
template <class T> static T __shfl_up_sync(unsigned mask, T v, int d) {
  int lane = current % 32;
  return from_lane(mask, v, lane >= d ? lane - d : lane);
}
template <class T> static T __shfl_sync(unsigned mask, T v, int lane) { return from_lane(mask, v, lane % 32); }
template <class T> static T atomicAdd(T* p, T v) { T old = *p; *p += v; return old; }

static void enter() {
  body(arguments);
  fibres[current].state = DONE;
  swapcontext(&fibres[current].context, &scheduler);
}

// 0: done, 1: the threads wait for each other for ever
static int run_block(int threads) {
  for (int t = 0; t < threads; ++t) {
    Fibre& f = fibres[t];
    f.state = READY;
    f.turn = 0;
    f.thread = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.data();
    f.context.uc_stack.ss_size = f.stack.size();
    f.context.uc_link = &scheduler;
    makecontext(&f.context, enter, 0);
  }
  while (true) {
    bool moved = false;
    for (current = 0; current < threads; ++current)
      if (fibres[current].state == READY) {
        swapcontext(&scheduler, &fibres[current].context);
        moved = true;
      }
    int done = 0, block = 0;
    for (int t = 0; t < threads; ++t) {
      done += fibres[t].state == DONE;
      block += fibres[t].state == AT_BLOCK;
    }
    if (done == threads) return 0;
    if (block && done + block == threads) {
      for (int t = 0; t < threads; ++t)
        if (fibres[t].state == AT_BLOCK) fibres[t].state = READY;
      continue;
    }
    for (int t = 0; t < threads; ++t) {
      if (fibres[t].state != AT_WARP) continue;
      bool all = true;
      int first = t / 32 * 32;
      for (int lane = 0; lane < 32 && first + lane < threads; ++lane)
        if (fibres[t].mask >> lane & 1) {
          State s = fibres[first + lane].state;
          all = all && (s == AT_WARP || s == DONE);
        }
      if (!all) continue;
      unsigned mask = fibres[t].mask;
      for (int lane = 0; lane < 32 && first + lane < threads; ++lane)
        if ((mask >> lane & 1) && fibres[first + lane].state == AT_WARP) fibres[first + lane].state = READY;
      moved = true;
    }
    if (!moved) return 1;
  }
}

static int run_grid(void (*kernel)(void**), void** args, const int* dims, int shared) {
  gridDim = {(unsigned)dims[0], (unsigned)dims[1], (unsigned)dims[2]};
  blockDim = {(unsigned)dims[3], (unsigned)dims[4], (unsigned)dims[5]};
  int threads = dims[3] * dims[4] * dims[5];
  body = kernel;
  arguments = args;
  fibres.resize(threads);
  for (auto& f : fibres) f.stack.resize(65536);
  dynamic_shared = (char*)std::calloc(shared + 16, 1);
  int failed = 0;
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) failed |= run_block(threads);
  std::free(dynamic_shared);
  return failed;
}
