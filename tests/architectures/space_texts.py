"""Search-space files as text: those of NASGym, and one with a header."""

OLDER_FILE = """\
nasenv:
    name: Default Environment
    version: 1.0
    max_nlayers: 10
    encoding: NSC
    layers:
        - convolution:
            id: 1
            kernel_size: [1, 3, 5]
            pred1: True
            pred2: False
        - maxpooling:
            id: 2
            kernel_size: [1, 3]
            pred1: True
            pred2: False
        - avgpooling:
            id: 3
            kernel_size: [1, 3]
            pred1: True
            pred2: False
        - identity:
            id: 4
            kernel_size: Null
            pred1: True
            pred2: False
        - add:
            id: 5
            kernel_size: Null
            pred1: True
            pred2: True
        - concat:
            id: 6
            kernel_size: Null
            pred1: True
            pred2: True
        - terminal:
            id: 7
            kernel_size: Null
            pred1: False
            pred2: False
"""
IDENTITY = OLDER_FILE[OLDER_FILE.index("        - identity") : OLDER_FILE.index("        - add")]
MERGES = OLDER_FILE[OLDER_FILE.index("        - add") : OLDER_FILE.index("        - terminal")]
OLDEST_FILE = OLDER_FILE.replace(IDENTITY, "")
MULTI_BRANCH_FILE = OLDEST_FILE.replace("[1, 3]\n", "[2, 3]\n")
CHAIN_FILE = MULTI_BRANCH_FILE.replace(MERGES, "")

EDGE_FILE = """\
nasenv:
    name: Small device
    max_nlayers: 3
    encoding: NSC
    header:
        - stem: {id: 10, values: [1, 2]}
        - width: {id: 11, values: [8, 16]}
        - augmentation: {id: 12, values: [none, shift-flip]}
        - dropout: {id: 13, values: [0, 30]}
    layers:
        - convolution: {id: 1, kernel_size: [3], pred1: True, pred2: False, residual: True}
        - reduction: {id: 9, kernel_size: [3], pred1: True, pred2: False}
        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}
"""
