"""Networks of one's own: that a graph can hold, and that none can."""

OWN = """
import torch

class Normalised(torch.nn.Sequential):
    def __init__(self):
        layers = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU()
        super().__init__(*layers, torch.nn.Conv2d(4, 1, 3, padding=1))

class Dropping(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Dropout(), torch.nn.Conv2d(4, 1, 1))

class Published(torch.nn.Sequential):  # keeps running values as the published code does
    def __init__(self):
        super().__init__(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(4, 1, 1))
        self.register_buffer("running_sd", torch.ones(1))

    def forward(self, y):
        if self.training:
            self.running_sd.data = 0.9 * self.running_sd.data + 0.1 * y.std().detach()
        return super().forward(y) / self.running_sd

class Counting(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(1, 1, 3, padding=1))
        self.calls = 0

    def forward(self, y):
        self.calls += self.training
        return super().forward(y) * (1 + self.calls % 2)

class Late(torch.nn.Sequential):  # has what it keeps from its first pass on
    def __init__(self):
        super().__init__(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(4, 1, 1))

    def forward(self, y):
        if self.training and not hasattr(self, "level"):
            self.register_buffer("level", y.std().detach())
            self.offset = torch.nn.Parameter(torch.zeros(1))
        elif self.training:
            self.level.lerp_(y.std().detach(), 0.1)
        return super().forward(y) / getattr(self, "level", 1)

class Waiting(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(1, 1, 3, padding=1))

    def forward(self, y):
        return super().forward(y) * max(0.1, y.mean().item())
"""
