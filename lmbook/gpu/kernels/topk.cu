// The k largest numbers of each row of x (rows, n), largest first; of equals the one further left comes first.
#define THREADS 128
#define SIZE 1024
#define ALL 0xffffffffu

// 1. k rounds: find the largest by shuffles, take it out, again; the row waits in shared memory, n up to 1024.
extern "C" __global__ void topk1_rounds(const float* x, float* values, int* indices, int n, int k) {
  __shared__ float row[SIZE];
  __shared__ float best[THREADS / 32];
  __shared__ int where[THREADS / 32];
  int t = threadIdx.x;
  for (int j = n - 1 - t; j >= 0; j -= THREADS) row[j] = x[blockIdx.x * n + j];
  for (int round = 0; round < k; ++round) {
    float v = -INFINITY;
    int at = INT_MAX;
    for (int j = n - 1 - t; j >= 0; j -= THREADS) {  // from the end: of equals the first stays
      float candidate = row[j];
      if (candidate >= v) {  // -INFINITY too, if no more is left
        v = candidate;
        at = j;
      }
    }
    for (int d = 16; d > 0; d >>= 1) {
      float other = __shfl_xor_sync(ALL, v, d);
      int there = __shfl_xor_sync(ALL, at, d);
      if (other > v || (other == v && there < at)) {
        v = other;
        at = there;
      }
    }
    if (t % 32 == 0) {
      best[t / 32] = v;
      where[t / 32] = at;
    }
    __syncthreads();
    if (t == 0) {
      for (int w = 1; w < THREADS / 32; ++w) {
        float other = best[w];
        int there = where[w];
        if (other > v || (other == v && there < at)) {
          v = other;
          at = there;
        }
      }
      values[blockIdx.x * k + round] = v;
      indices[blockIdx.x * k + round] = at;
      row[at] = NAN;  // no comparison with it holds
    }
    __syncthreads();
  }
}

// 2. Bitonic sort of the whole row: a fixed pattern of comparisons, no branch depends on k.
extern "C" __global__ void topk2_bitonic(const float* x, float* values, int* indices, int n, int k) {
  __shared__ float row[SIZE];
  __shared__ int where[SIZE];
  int t = threadIdx.x;
  for (int j = t; j < SIZE; j += THREADS) {
    row[j] = j < n ? x[blockIdx.x * n + j] : -INFINITY;
    where[j] = j;
  }
  __syncthreads();
  for (int size = 2; size <= SIZE; size *= 2)
    for (int d = size / 2; d > 0; d /= 2) {
      for (int p = t; p < SIZE / 2; p += THREADS) {
        int a = 2 * d * (p / d) + p % d, b = a + d;
        bool down = (a & size) == 0;
        float va = row[a], vb = row[b];
        int ia = where[a], ib = where[b];
        bool a_first = va > vb || (va == vb && ia < ib);
        if (a_first != down) {
          row[a] = vb;
          row[b] = va;
          where[a] = ib;
          where[b] = ia;
        }
      }
      __syncthreads();
    }
  for (int j = t; j < k; j += THREADS) {
    values[blockIdx.x * k + j] = row[j];
    indices[blockIdx.x * k + j] = where[j];
  }
}
