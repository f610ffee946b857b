// Inclusive prefix sums. Each block scans its chunk and leaves the total in sums; the totals are scanned by one
// block, and every chunk but the first adds what comes before it.
#define THREADS 256
#define ALL 0xffffffffu

// 1. Hillis and Steele: log2 n rounds, in each of which almost every thread adds; two buffers take turns.
extern "C" __global__ void scan1_hillis(const float* x, float* y, float* sums, int n) {
  __shared__ float s[2][THREADS];
  int t = threadIdx.x, i = blockIdx.x * THREADS + t, now = 0;
  s[0][t] = i < n ? x[i] : 0.0f;
  __syncthreads();
  for (int d = 1; d < THREADS; d *= 2) {
    float v = s[now][t];
    if (t >= d) v += s[now][t - d];
    s[1 - now][t] = v;
    now = 1 - now;
    __syncthreads();
  }
  float v = s[now][t];
  if (i < n) y[i] = v;
  if (t == THREADS - 1) sums[blockIdx.x] = v;
}

// 2. Blelloch: up and down a tree, 2 n additions in all, but strides of powers of two meet in the banks.
extern "C" __global__ void scan2_blelloch(const float* x, float* y, float* sums, int n) {
  __shared__ float s[THREADS];
  int t = threadIdx.x, i = blockIdx.x * THREADS + t;
  float mine = i < n ? x[i] : 0.0f;
  s[t] = mine;
  __syncthreads();
  for (int d = 1; d < THREADS; d *= 2) {
    int at = (t + 1) * 2 * d - 1;
    if (at < THREADS) s[at] += s[at - d];
    __syncthreads();
  }
  if (t == THREADS - 1) {
    sums[blockIdx.x] = s[t];
    s[t] = 0.0f;
  }
  __syncthreads();
  for (int d = THREADS / 2; d > 0; d /= 2) {
    int at = (t + 1) * 2 * d - 1;
    if (at < THREADS) {
      float left = s[at - d], right = s[at];
      s[at - d] = right;
      s[at] = right + left;
    }
    __syncthreads();
  }
  if (i < n) y[i] = s[t] + mine;
}

// 3. Shuffles scan each warp, one warp scans the warps' totals: two barriers.
extern "C" __global__ void scan3_shuffle(const float* x, float* y, float* sums, int n) {
  __shared__ float s[THREADS / 32];
  int t = threadIdx.x, lane = t % 32, warp = t / 32, i = blockIdx.x * THREADS + t;
  float v = i < n ? x[i] : 0.0f;
  for (int d = 1; d < 32; d *= 2) {
    float left = __shfl_up_sync(ALL, v, d);
    if (lane >= d) v += left;
  }
  if (lane == 31) s[warp] = v;
  __syncthreads();
  if (warp == 0) {
    float total = lane < THREADS / 32 ? s[lane] : 0.0f;
    for (int d = 1; d < THREADS / 32; d *= 2) {
      float left = __shfl_up_sync(ALL, total, d);
      if (lane >= d) total += left;
    }
    if (lane < THREADS / 32) s[lane] = total;
  }
  __syncthreads();
  if (warp > 0) v += s[warp - 1];
  if (i < n) y[i] = v;
  if (t == THREADS - 1) sums[blockIdx.x] = v;
}

// 4a. The totals: one warp walks over them, 32 at a time.
extern "C" __global__ void scan4_totals(float* sums, int blocks) {
  int lane = threadIdx.x;
  float before = 0.0f;
  for (int start = 0; start < blocks; start += 32) {
    int i = start + lane;
    float v = i < blocks ? sums[i] : 0.0f;
    for (int d = 1; d < 32; d *= 2) {
      float left = __shfl_up_sync(ALL, v, d);
      if (lane >= d) v += left;
    }
    if (i < blocks) sums[i] = v + before;
    before += __shfl_sync(ALL, v, 31);
  }
}

// 4b. Every chunk adds the total of all chunks before it.
extern "C" __global__ void scan4_add(float* y, const float* sums, int n) {
  int i = blockIdx.x * THREADS + threadIdx.x;
  if (blockIdx.x > 0 && i < n) y[i] += sums[blockIdx.x - 1];
}
