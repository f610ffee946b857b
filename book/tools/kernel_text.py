"""The sentences of the page of GPU kernels, book/kernels.md."""

from __future__ import annotations

HEAD = """\
(kernels)=
# Kernels without a GPU

[没有 GPU 的核函数检验]{{.subtitle lang=zh}}

No GPU was at hand when `lmbook.gpu` was written. So nothing on this page was measured on one, and no number
is a time on one. What it shows are proofs on a processor: the same string of CUDA C is read four times, by
programs that know little of each other, and all must agree.

| Reader | What it reads | What it shows |
| --- | --- | --- |
| Simulator, `Kernel.simulate` | the CUDA C | results, counters, races and faults |
| NVRTC, `Kernel.compile` | the CUDA C | that NVIDIA's compiler takes it; registers, spills |
| PTX runner, `lmbook.gpu.ptx` | the instructions that NVRTC made | results and counters of compiled code |
| g++ | the CUDA C, as C++ | results, by a compiler that knows no GPU |

NumPy says what is right, in double precision. The inputs are random, the sizes awkward: one, one less than
a warp, one more than a block, no multiple of anything. A difference is $|y - y_\\text{{NumPy}}| / (1 +
|y_\\text{{NumPy}}|)$, and the tables hold a bound on the largest: the next power of ten above four times
what was found, since the last digits depend on a machine's libraries; 0 means equal to the last bit.

A *rung* is one of the fifteen kernels of section 3.4, and all of them are the *ladder*. *Versions* counts
the versions of a rung, *difference* is the largest of all its versions, sizes and readers, and *caught* are
those of the bugs planted in it; the others change nothing.

{overview}

All {versions} versions agree on all sizes, with {kernels} kernels in all. Of {claims} quantities that can
be worked out on paper exactly, the simulator counts {held} as they should be, and so does the PTX runner all
but those that carry an *s*, which it cannot count. The tests run every version once more with the race
detector on, which finds nothing. `python -m book.tools.kernel_facts` does all of it again; `tests/gpu`
holds the same and more, case by case. Made with
{tools}.

## Counters

*Load* and *store* are 32-byte sectors a request of global memory: 4 is best for 4-byte numbers, 32 is
worst. *Banks* is the passes over the banks of shared memory, of loads and stores together, over the least
possible: 1 is free of conflicts. *Barriers* are counted in each warp. *DRAM bytes* are those that a perfect
cache would move: every sector once a launch for loading, and once for storing. These, with the requests and
bytes behind them, with atomics and shuffles, 15 counters in all, are compared between simulator and PTX
runner, at every size. They find addresses, masks and requests on their own, one in the source and one in
the compiled code. All are equal, but for:

{exceptions}

*FLOP* are as the source asks: `fmaf` is two, `expf` one, an atomic addition one. *FLOP, PTX* are the
additions, products, divisions and fused products of the compiled code: there `expf` and `tanhf` have become
polynomials, and what repeats is computed once. Both are equal where a kernel has none of this. Divergent
branches and warp operations are counted as the source asks and not compared, as the compiler replaces short
branches by predicates and adds arithmetic for addresses.

Registers are what the assembler reports for sm_75, sm_80 and sm_90. No kernel spills. Occupancy is the
share of the most warps that a multiprocessor holds, by the rules of NVIDIA's calculator for the block that
the ladder launches.

## Planted bugs

Checks are worth what they catch. Rules such as "`<` becomes `<=`" or "this barrier goes" planted {planted}
bugs, one at a time, in all kernels with a reference. {missed} of them change nothing, and each has its
reason below, with its rung. All {real} others were caught: {faults} as a fault of execution, {wrong} by a
wrong number. Each message names a line of the source. The two copies that move only a part are
no versions of a rung, though their result is compared with the same part in NumPy, and got no bugs.
*Fault* and *number* are bugs caught in either way, *none* those that change nothing.

{kinds}

All bugs with the message's line are in `tests/gpu/mutants.csv`; a test plants every ninth again.
"""

OPEN = """\
## What is open without a device

Everything that has to do with time. Hit rates of caches, latency, how warps are scheduled, clock rates,
tensor cores and asynchronous copies are not modelled, so what fewer sectors are worth
nobody has measured here, and higher occupancy need not help at all. A point on a {term}`roofline` says only
"cannot be faster than".

The simulator and the PTX runner find addresses separately but share the rules that turn 32 of them into
sectors and passes over banks. A test holds these rules against plain sets, and NVIDIA documents them
{cite}`cudaguide`; no profiler has confirmed the sums. What runs is PTX, the compiler's intermediate
language. NVIDIA's assembler has taken the last step, to a device's own instructions, and may join loads or
drop branches on the way; nobody here has executed those. A device rounds
`expf`, `tanhf` and `rsqrtf` in its own way, within bounds that NVIDIA prints. The order in which atomic
additions arrive is one of many. The race detector knows barriers, warps and atomics; it does not see a race
through two overlapping views passed as two arrays.

That a kernel is launched on a GPU through CuPy with the right types is tested with a stand-in for CuPy. Who
has a GPU, as in Colab, can call the same kernels there, and `Kernel.time` then gives what this page cannot.
"""

SPEED = """\
(kernels-simulators)=
## How fast the simulator is

A tiled product of two 512 × 512 matrices in float32: 1,024 blocks of 256 threads, 268 million FLOP. Three
simulators of GPU programs did it on one machine in one run, one after the other, with one thread each, and
every product was compared with NumPy's before its time was kept. *Largest* is the largest size, doubling,
that should take less than a minute. Where it is below 512, the time for 512 is scaled by the number of
products and says from where. Other programs used the machine a little, so times are, if anything, too long.

{table}

numba's simulator runs each thread of a block as a thread of Python. It knows no shuffles and counts
nothing. Triton's interpreter runs programs of another kind: one owns a tile and knows neither threads nor
banks, so that a tile's product is one call of NumPy, and the larger the tile, the less is left of the
interpreter. Ours goes through the inner loop for each thread, and counts sectors, bank conflicts and
divergence all the while. The quickest of all here: {quickest}.

Run it with `python -m benchmarks.simulator` after `pip install triton`. Measured with: {machine}.
"""
