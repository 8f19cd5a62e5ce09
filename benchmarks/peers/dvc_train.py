"""The stage of DVC in docs/comparison.md: params.yaml says how it trains."""

# pyright: basic, reportMissingImports=false
import json
from pathlib import Path

import torch
import yaml
from data import digits, network
from torch.nn.functional import cross_entropy

params = yaml.safe_load(Path("params.yaml").read_text("utf-8"))
torch.manual_seed(params["seed"])
x, y, test_x, test_y = digits()
model = network()
sgd = torch.optim.SGD(model.parameters(), **params["optimizer"])
for _ in range(params["epochs"]):
    model.train()
    for index in torch.randperm(len(x)).split(params["batch_size"]):
        sgd.zero_grad()
        cross_entropy(model(x[index]), y[index]).backward()
        sgd.step()
model.eval()
error = (model(test_x).argmax(1) != test_y).float().mean().item()
print("error", error, flush=True)
Path("metrics.json").write_text(json.dumps({"error": error}), "utf-8")
