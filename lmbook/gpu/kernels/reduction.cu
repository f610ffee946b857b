#define THREADS 256
#define ALL 0xffffffffu

// 1. Pairs at distance 1, 2, 4, ...: lanes at work are spread over all warps, so every warp diverges.
extern "C" __global__ void reduce1_interleaved(const float* x, float* sum, int n) {
  __shared__ float s[THREADS];
  int t = threadIdx.x, i = blockIdx.x * THREADS + t;
  s[t] = i < n ? x[i] : 0.0f;
  __syncthreads();
  for (int d = 1; d < THREADS; d *= 2) {
    if (t % (2 * d) == 0) s[t] += s[t + d];
    __syncthreads();
  }
  if (t == 0) atomicAdd(sum, s[0]);
}

// 2. The same pairs by the first threads: whole warps rest, but the addresses run into few banks.
extern "C" __global__ void reduce2_strided(const float* x, float* sum, int n) {
  __shared__ float s[THREADS];
  int t = threadIdx.x, i = blockIdx.x * THREADS + t;
  s[t] = i < n ? x[i] : 0.0f;
  __syncthreads();
  for (int d = 1; d < THREADS; d *= 2) {
    int at = 2 * d * t;
    if (at < THREADS) s[at] += s[at + d];
    __syncthreads();
  }
  if (t == 0) atomicAdd(sum, s[0]);
}

// 3. Halve the array: neighbours add neighbours, no bank conflict, one divergent warp at the end.
extern "C" __global__ void reduce3_sequential(const float* x, float* sum, int n) {
  __shared__ float s[THREADS];
  int t = threadIdx.x, i = blockIdx.x * THREADS + t;
  s[t] = i < n ? x[i] : 0.0f;
  __syncthreads();
  for (int d = THREADS / 2; d > 0; d >>= 1) {
    if (t < d) s[t] += s[t + d];
    __syncthreads();
  }
  if (t == 0) atomicAdd(sum, s[0]);
}

// 4. Within a warp registers are exchanged: one barrier, eight numbers in shared memory.
extern "C" __global__ void reduce4_shuffle(const float* x, float* sum, int n) {
  __shared__ float s[THREADS / 32];
  int t = threadIdx.x, i = blockIdx.x * THREADS + t;
  float v = i < n ? x[i] : 0.0f;
  for (int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(ALL, v, d);
  if (t % 32 == 0) s[t / 32] = v;
  __syncthreads();
  if (t < 32) {
    v = t < THREADS / 32 ? s[t] : 0.0f;
    for (int d = THREADS / 64; d > 0; d >>= 1) v += __shfl_down_sync(ALL, v, d);
    if (t == 0) atomicAdd(sum, v);
  }
}

// 5. A few blocks walk the array and add in registers first: the tree is paid once a block, not once an element.
extern "C" __global__ void reduce5_grid(const float* x, float* sum, int n) {
  __shared__ float s[THREADS / 32];
  int t = threadIdx.x;
  float v = 0.0f;
  for (int i = blockIdx.x * THREADS + t; i < n; i += gridDim.x * THREADS) v += x[i];
  for (int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(ALL, v, d);
  if (t % 32 == 0) s[t / 32] = v;
  __syncthreads();
  if (t < 32) {
    v = t < THREADS / 32 ? s[t] : 0.0f;
    for (int d = THREADS / 64; d > 0; d >>= 1) v += __shfl_down_sync(ALL, v, d);
    if (t == 0) atomicAdd(sum, v);
  }
}
