"""Published tables that the planner is held against, as they were printed."""

ZERO_TABLE_1 = (
    (7.5e9, 1, (120, 120, 120)), (7.5e9, 4, (52.5, 41.3, 30)), (7.5e9, 64, (31.4, 16.6, 1.88)),
    (1e12, 1024, (4011, 2013, 15.6)),
)  # fmt: skip
"""Rajbhandari et al. 2020, Table 1: parameters, devices, GB on each with stage 1, 2, 3."""

SC21_TABLE_1 = (
    (1.7, 24, 2304, 24, 1, 1, 32, 512, 137), (3.6, 32, 3072, 30, 2, 1, 64, 512, 138),
    (7.5, 32, 4096, 36, 4, 1, 128, 512, 142), (18.4, 48, 6144, 40, 8, 1, 256, 1024, 135),
    (39.1, 64, 8192, 48, 8, 2, 512, 1536, 138), (76.1, 80, 10240, 60, 8, 4, 1024, 1792, 140),
    (145.6, 96, 12288, 80, 8, 8, 1536, 2304, 148), (310.1, 128, 16384, 96, 8, 16, 1920, 2160, 155),
    (529.6, 128, 20480, 105, 8, 35, 2520, 2520, 163), (1008.0, 160, 25600, 128, 8, 64, 3072, 3072, 163),
)  # fmt: skip
"""Narayanan et al. 2021, Table 1: billions of parameters, heads, width, layers, tensor and pipeline degree,
GPUs, batch, TFLOP/s for each GPU."""

KORTHIKANTI_TABLE_5 = (
    (48, 6144, 64, 8, 4, 1.10, 41.5, 43.7), (96, 12288, 96, 64, 64, 13.75, 51.4, 52.8),
    (105, 20480, 128, 280, 280, 37.83, 56.0, 57.0), (128, 25600, 160, 512, 512, 71.49, 56.3, 57.0),
)  # fmt: skip
"""Korthikanti et al. 2022, Table 5: layers, width, heads, GPUs, batch, seconds a step, MFU and HFU in %."""

CHINCHILLA_TABLE_3 = (
    (400e6, 8.0e9, 1.92e19), (1e9, 20.2e9, 1.21e20), (10e9, 205.1e9, 1.23e22), (67e9, 1.5e12, 5.76e23),
    (175e9, 3.7e12, 3.85e24), (280e9, 5.9e12, 9.90e24), (520e9, 11.0e12, 3.43e25), (1e12, 21.2e12, 1.27e26),
)  # fmt: skip
"""Hoffmann et al. 2022, Table 3: parameters, tokens, FLOP."""

LLAMA_3_TABLE_4 = (
    (8192, 8, 1, 16, 64, 8192, 32, 430, 43), (16384, 8, 1, 16, 128, 8192, 16, 400, 41),
    (16384, 8, 16, 16, 4, 131072, 16, 380, 38),
)  # fmt: skip
"""Dubey et al. 2024, Table 4: GPUs, tensor, context, pipeline, data, positions, sequences for each data rank,
TFLOP/s for each GPU, MFU in per cent. All rows say 16M tokens a batch."""

LLAMA_3_TABLE_5 = {
    "faulty GPU": (148, 30.1), "GPU HBM3 memory": (72, 17.2), "software bug": (54, 12.9),
    "network switch or cable": (35, 8.4), "host maintenance": (32, 7.6), "GPU SRAM memory": (19, 4.5),
    "GPU system processor": (17, 4.1), "NIC": (7, 1.7), "NCCL watchdog timeouts": (7, 1.7),
    "silent data corruption": (6, 1.4), "GPU thermal interface and sensor": (6, 1.4), "SSD": (3, 0.7),
    "power supply": (3, 0.7), "server chassis": (2, 0.5), "IO expansion board": (2, 0.5),
    "dependency": (2, 0.5), "CPU": (2, 0.5), "system memory": (2, 0.5),
}  # fmt: skip
"""Dubey et al. 2024, Table 5: unexpected interruptions in 54 days, and their share in per cent as printed."""

INTELLECT_TABLE_2 = (
    ("USA", 103, 95.7, 41.4), ("USA and Europe", 382, 85.6, 37.1), ("global", 469, 83.0, 36.2),
)  # fmt: skip
"""Jaghouar et al. 2024, Table 2: median seconds of an all-reduce after 38 minutes of 100 inner steps,
share of time that is computation, MFU, in per cent; the last MFU as in the abstract. Without meetings
it is 43.3."""
