"""Three members of a sweep in Hydra, the task of docs/comparison.md."""

# pyright: basic, reportMissingImports=false
from dataclasses import dataclass, field

import hydra
import torch
from data import digits, network
from hydra.core.config_store import ConfigStore
from torch.nn.functional import cross_entropy


@dataclass
class Optimizer:
    lr: float = 0.1
    momentum: float = 0.9


@dataclass
class Config:
    epochs: int = 20
    batch_size: int = 64
    seed: int = 0
    optimizer: Optimizer = field(default_factory=Optimizer)


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_name="config")
def main(config: Config) -> float:
    torch.manual_seed(config.seed)
    x, y, test_x, test_y = digits()
    model = network()
    sgd = torch.optim.SGD(model.parameters(), config.optimizer.lr, config.optimizer.momentum)
    for _ in range(config.epochs):
        model.train()
        for index in torch.randperm(len(x)).split(config.batch_size):
            sgd.zero_grad()
            cross_entropy(model(x[index]), y[index]).backward()
            sgd.step()
    model.eval()
    error = (model(test_x).argmax(1) != test_y).float().mean().item()
    print("error", error, flush=True)
    return error


if __name__ == "__main__":
    main()  # pyright: ignore[reportCallIssue]
