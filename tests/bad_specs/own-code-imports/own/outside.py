from ...layers import Double
