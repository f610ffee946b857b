"""Energy and carbon of a training run, and the runs of which somebody published them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Footprint:
    """Energy in kWh, emissions in tonnes of CO2 equivalent."""

    energy: float
    carbon: float


def footprint(hours: float, watts: float, pue: float = 1.0, intensity: float = 0.0) -> Footprint:
    """Of `hours` accelerator-hours.

        energy = hours x watts / 1000 x pue           kWh
        carbon = energy x intensity / 10^6            tonnes of CO2 equivalent

    `watts` is the mean draw of an accelerator with its share of the host, where that is known; `pue` (power
    usage effectiveness) the energy of the whole site over that of its computers; `intensity` grams of CO2
    equivalent a kWh of the grid. Making the chips, idle time and failed runs are not in it. Raises
    `ValueError` where a number is out of range.
    """
    if hours < 0 or watts < 0 or intensity < 0:
        raise ValueError(
            f"footprint: {hours} hours, {watts} W, {intensity} g/kWh: none can be negative"
        )
    if pue < 1:
        raise ValueError(f"footprint: a PUE of {pue} is below 1; the site contains its computers")
    energy = hours * watts / 1000 * pue
    return Footprint(energy, energy * intensity / 1e6)


@dataclass(frozen=True)
class PublishedRun:
    """A run with what was published of it; None where a number was not given.

    `energy` is in MWh, `carbon` in tonnes; both as printed in `source`, a key of the bibliography.
    """

    name: str
    chip: str
    hours: float
    watts: float
    pue: float | None
    intensity: float | None
    energy: float | None
    carbon: float
    source: str
    note: str = ""


PUBLISHED = (
    PublishedRun("GPT-3 175B", "V100", 10_000 * 14.8 * 24, 330, 1.10, 429, 1287, 552.1, "patterson2021",
                 "330 W measured, with host, memory and network; days from FLOP and a reported speed; "
                 "the grid is the average of the United States"),
    PublishedRun("BLOOM 176B", "A100", 1_082_990, 400, None, 57, 433, 24.7, "luccioni2023",
                 "accelerators alone; idle nodes and manufacturing bring it to 50.5 t"),
    PublishedRun("Llama 2 70B", "A100", 1_720_320, 400, None, None, None, 291.42, "touvron2023llama2",
                 "power is the data sheet's, said to be adjusted for power usage efficiency"),
    PublishedRun("Llama 3 70B", "H100", 6.4e6, 700, None, None, None, 1900, "llama3card",
                 "power is the data sheet's, said to be adjusted for power usage efficiency"),
    PublishedRun("Llama 3.1 405B", "H100", 30.84e6, 700, None, None, None, 8930, "llama31card",
                 "power is the data sheet's; 0 t by the energy that was bought"),
)  # fmt: skip
