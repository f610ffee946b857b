// Causal attention. Q, K, V, O are (heads, S, D); scale is 1 / sqrt(D); L is log of the sum of exponentials.
#define D 64
#define BR 32
#define BC 32
#define PARTS 4
#define HELD 16
#define ALL 0xffffffffu

// 1a. Unfused: all scores go to memory, S x S numbers a head ...
extern "C" __global__ void attention1_scores(const float* Q, const float* K, float* P, int S, float scale) {
  int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y, head = blockIdx.z;
  if (j >= S) return;
  float s = 0.0f;
  for (int d = 0; d < D; ++d) s += Q[(head * S + i) * D + d] * K[(head * S + j) * D + d];
  P[(head * S + i) * S + j] = j <= i ? s * scale : -INFINITY;
}

// 1b. ... are read and written again by the softmax ...
extern "C" __global__ void attention1_softmax(float* P, int S) {
  float* row = P + blockIdx.x * S;
  int lane = threadIdx.x;
  float top = -INFINITY, sum = 0.0f;
  for (int j = lane; j < S; j += 32) top = fmaxf(top, row[j]);
  for (int d = 16; d > 0; d >>= 1) top = fmaxf(top, __shfl_xor_sync(ALL, top, d));
  for (int j = lane; j < S; j += 32) sum += expf(row[j] - top);
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  for (int j = lane; j < S; j += 32) row[j] = expf(row[j] - top) / sum;
}

// 1c. ... and read once more to average the values.
extern "C" __global__ void attention1_values(const float* P, const float* V, float* O, int S) {
  int d = threadIdx.x, i = blockIdx.x, head = blockIdx.y;
  float sum = 0.0f;
  for (int j = 0; j < S; ++j) sum += P[(head * S + i) * S + j] * V[(head * S + j) * D + d];
  O[(head * S + i) * D + d] = sum;
}

// 2. Flash: keys and values come by tiles, maximum and sum are kept up to date, no score leaves the registers.
extern "C" __global__ void attention2_flash(const float* Q, const float* K, const float* V, float* O, float* L,
                                            int S, float scale) {
  __shared__ float Ks[BC][D];
  __shared__ float Vs[BC][D];
  int tid = threadIdx.x, part = tid % PARTS, row = blockIdx.x * BR + tid / PARTS, base = blockIdx.y * S;
  float q[HELD], acc[HELD] = {0.0f};
  for (int i = 0; i < HELD; ++i) q[i] = row < S ? Q[(base + row) * D + i * PARTS + part] * scale : 0.0f;
  float top = -INFINITY, sum = 0.0f;
  for (int c0 = 0; c0 < (int)(blockIdx.x + 1) * BR && c0 < S; c0 += BC) {
    for (int i = tid; i < BC * D; i += BR * PARTS) {
      bool inside = c0 + i / D < S;
      Ks[i / D][i % D] = inside ? K[(base + c0) * D + i] : 0.0f;
      Vs[i / D][i % D] = inside ? V[(base + c0) * D + i] : 0.0f;
    }
    __syncthreads();
    for (int c = 0; c < BC; ++c) {
      float s = 0.0f;
      for (int i = 0; i < HELD; ++i) s += q[i] * Ks[c][i * PARTS + part];
      s += __shfl_xor_sync(ALL, s, 1);
      s += __shfl_xor_sync(ALL, s, 2);
      s = c0 + c <= row ? s : -INFINITY;
      float higher = fmaxf(top, s), old = expf(top - higher), p = expf(s - higher);
      sum = sum * old + p;
      for (int i = 0; i < HELD; ++i) acc[i] = acc[i] * old + p * Vs[c][i * PARTS + part];
      top = higher;
    }
    __syncthreads();
  }
  if (row >= S) return;
  for (int i = 0; i < HELD; ++i) O[(base + row) * D + i * PARTS + part] = acc[i] / sum;
  if (part == 0) L[base + row] = top + logf(sum);
}

// 3a. Backwards: for each row the dot product of the output with its gradient,
extern "C" __global__ void attention3_delta(const float* O, const float* dO, float* delta) {
  int row = blockIdx.x, lane = threadIdx.x;
  float sum = 0.0f;
  for (int d = lane; d < D; d += 32) sum += O[row * D + d] * dO[row * D + d];
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  if (lane == 0) delta[row] = sum;
}

// 3b. the gradient of the queries, with the scores computed again tile by tile,
extern "C" __global__ void attention3_dq(const float* Q, const float* K, const float* V, const float* dO,
                                         const float* L, const float* delta, float* dQ, int S, float scale) {
  __shared__ float Ks[BC][D];
  __shared__ float Vs[BC][D];
  int tid = threadIdx.x, part = tid % PARTS, row = blockIdx.x * BR + tid / PARTS, base = blockIdx.y * S;
  float q[HELD], g[HELD], acc[HELD] = {0.0f};
  for (int i = 0; i < HELD; ++i) {
    q[i] = row < S ? Q[(base + row) * D + i * PARTS + part] * scale : 0.0f;
    g[i] = row < S ? dO[(base + row) * D + i * PARTS + part] : 0.0f;
  }
  float log_sum = row < S ? L[base + row] : 0.0f, del = row < S ? delta[base + row] : 0.0f;
  for (int c0 = 0; c0 < (int)(blockIdx.x + 1) * BR && c0 < S; c0 += BC) {
    for (int i = tid; i < BC * D; i += BR * PARTS) {
      bool inside = c0 + i / D < S;
      Ks[i / D][i % D] = inside ? K[(base + c0) * D + i] : 0.0f;
      Vs[i / D][i % D] = inside ? V[(base + c0) * D + i] : 0.0f;
    }
    __syncthreads();
    for (int c = 0; c < BC; ++c) {
      float s = 0.0f, dp = 0.0f;
      for (int i = 0; i < HELD; ++i) {
        s += q[i] * Ks[c][i * PARTS + part];
        dp += g[i] * Vs[c][i * PARTS + part];
      }
      s += __shfl_xor_sync(ALL, s, 1);
      s += __shfl_xor_sync(ALL, s, 2);
      dp += __shfl_xor_sync(ALL, dp, 1);
      dp += __shfl_xor_sync(ALL, dp, 2);
      float ds = c0 + c <= row ? expf(s - log_sum) * (dp - del) * scale : 0.0f;
      for (int i = 0; i < HELD; ++i) acc[i] += ds * Ks[c][i * PARTS + part];
    }
    __syncthreads();
  }
  if (row >= S) return;
  for (int i = 0; i < HELD; ++i) dQ[(base + row) * D + i * PARTS + part] = acc[i];
}

// 3c. and those of keys and values: a block owns keys and walks over the queries from the diagonal on.
extern "C" __global__ void attention3_dkv(const float* Q, const float* K, const float* V, const float* dO,
                                          const float* L, const float* delta, float* dK, float* dV, int S,
                                          float scale) {
  __shared__ float Qs[BR][D];
  __shared__ float Gs[BR][D];
  int tid = threadIdx.x, part = tid % PARTS, key = blockIdx.x * BC + tid / PARTS, base = blockIdx.y * S;
  float k[HELD], v[HELD], acc_k[HELD] = {0.0f}, acc_v[HELD] = {0.0f};
  for (int i = 0; i < HELD; ++i) {
    k[i] = key < S ? K[(base + key) * D + i * PARTS + part] * scale : 0.0f;
    v[i] = key < S ? V[(base + key) * D + i * PARTS + part] : 0.0f;
  }
  for (int r0 = blockIdx.x * BC; r0 < S; r0 += BR) {
    for (int i = tid; i < BR * D; i += BC * PARTS) {
      bool inside = r0 + i / D < S;
      Qs[i / D][i % D] = inside ? Q[(base + r0) * D + i] : 0.0f;
      Gs[i / D][i % D] = inside ? dO[(base + r0) * D + i] : 0.0f;
    }
    __syncthreads();
    for (int r = 0; r < BR && r0 + r < S; ++r) {
      float s = 0.0f, dp = 0.0f;
      for (int i = 0; i < HELD; ++i) {
        s += k[i] * Qs[r][i * PARTS + part];
        dp += v[i] * Gs[r][i * PARTS + part];
      }
      s += __shfl_xor_sync(ALL, s, 1);
      s += __shfl_xor_sync(ALL, s, 2);
      dp += __shfl_xor_sync(ALL, dp, 1);
      dp += __shfl_xor_sync(ALL, dp, 2);
      float p = key <= r0 + r ? expf(s - L[base + r0 + r]) : 0.0f;
      float ds = p * (dp - delta[base + r0 + r]) * scale;
      for (int i = 0; i < HELD; ++i) {
        acc_v[i] += p * Gs[r][i * PARTS + part];
        acc_k[i] += ds * Qs[r][i * PARTS + part];
      }
    }
    __syncthreads();
  }
  if (key >= S) return;
  for (int i = 0; i < HELD; ++i) {
    dK[(base + key) * D + i * PARTS + part] = acc_k[i];
    dV[(base + key) * D + i * PARTS + part] = acc_v[i];
  }
}
