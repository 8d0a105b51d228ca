"""Files that this field already has: one reader for each format, none of which holds more of a file than a batch.

Readers are exported by `ergosum.data`; `formats.FORMATS` lists what each expects and where its owner publishes it.
"""
