"""Reports: strips, animations, charts, and one HTML page per run that opens offline as a single file."""

from ergosum.report.animation import encode_animation, save_animation, save_strip
from ergosum.report.charts import heat_map, lines, training_curve
from ergosum.report.page import Section, write_page
from ergosum.report.run_report import write_report
from ergosum.report.strips import compare, sheet, strip

__all__ = [
    "Section",
    "compare",
    "encode_animation",
    "heat_map",
    "lines",
    "save_animation",
    "save_strip",
    "sheet",
    "strip",
    "training_curve",
    "write_page",
    "write_report",
]
