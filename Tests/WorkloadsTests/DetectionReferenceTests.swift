// Do the detectors' forward and backward passes agree with PyTorch's?
// The expected numbers are printed by Benchmarks/reference/detection.py (PyTorch 2.13): mean squares of the outputs of
// the small models, and the norm of the gradient of their sum, with parameters and images made by a rule.
import Testing

@testable import Workloads

/// Numbers from −1/2 to 1/2.
private func pattern(_ shape: [Int], _ factor: Int, _ modulus: Int) -> Tensor {
  let count = shape.reduce(1, *)
  return Tensor((0..<count).map { Float(Double($0 * factor % modulus) / Double(modulus) - 0.5) }, shape: shape)
}

private var images: Tensor { pattern([2, 3, 64, 64], 73, 211) }

private func setParameters(_ model: Module) {
  withoutGradients {
    for (path, parameter) in model.namedParameters() {
      let numbers = pattern(parameter.shape, 37, 101)
      if parameter.rank > 1 {
        let inputs = Double(parameter.shape.dropFirst().reduce(1, *))
        parameter.copy(from: numbers * (4 / inputs.squareRoot()))
      } else {
        parameter.copy(from: numbers * 0.2 + (path.hasSuffix("bias") ? 0 : 1))
      }
    }
  }
}

private func expectAgreement(_ model: Module, _ outputs: [Tensor], _ expected: [Double], gradient: Double) {
  let squares = outputs.map { $0.square().mean() }
  #expect(squares.count == expected.count)
  for (square, value) in zip(squares, expected) { #expect(abs(square.item / value - 1) < 1e-4) }
  squares.dropFirst().reduce(squares[0], +).backward()
  let norms = model.parameters().compactMap { $0.gradient?.to(.float64).square().sum().item }
  let norm = norms.reduce(0, +).squareRoot()
  #expect(abs(norm / gradient - 1) < 1e-3)
}

/// What the network's three convolutions give for a map.
private func outputs(_ network: RegionProposalNetwork, _ map: Tensor) -> [Tensor] {
  let hidden = network.conv(map).relu()
  return [network.objectness(hidden), network.deltas(hidden)]
}

private func corner(_ map: Tensor, _ side: Int) -> Tensor { map.slice(2, 0..<side).slice(3, 0..<side) }

extension Computing {
  @Suite struct DetectionReference {
    @Test func fasterRCNN() {
      let model = FasterRCNN(.small, classes: 3)
      setParameters(model)
      let map = model.map(images)
      let head = model.predictor(model.backbone.layer4(corner(map, 7)).mean([2, 3]))
      expectAgreement(
        model, outputs(model.proposals, map) + [head.logits, head.deltas],
        [0.00865181628614664, 0.009014944545924664, 0.26904839277267456, 0.2261587679386139],
        gradient: 4.4127014740288715)
    }

    @Test func maskRCNN() {
      let model = MaskRCNN(.small, classes: 3)
      setParameters(model)
      let maps = model.maps(images)
      let head = model.predictor(model.fc7(model.fc6(corner(maps[0], 7).flattened(1)).relu()).relu())
      expectAgreement(
        model,
        maps.flatMap { outputs(model.proposals, $0) } + [head.logits, head.deltas, model.mask(corner(maps[0], 14))],
        [
          0.010979232378304005, 0.014803950674831867, 0.007828387431800365, 0.014092247933149338,
          0.009271114133298397, 0.016872823238372803, 0.0019162368262186646, 0.0062576960772275925,
          0.0020279819145798683, 0.007864288054406643, 0.029690342023968697, 0.015711123123764992,
          0.00462156580761075,
        ], gradient: 2.5304809189218025)
    }

    @Test func singleShotDetector() {
      let model = SingleShotDetector(.small, classes: 3)
      setParameters(model)
      let output = model(images)
      // Default boxes of the three maps: four at each of 16², 8² and 4² cells.
      let parts = [0..<1024, 1024..<1280, 1280..<1344].flatMap {
        [output.deltas.slice(1, $0), output.logits.slice(1, $0)]
      }
      expectAgreement(
        model, parts,
        [
          0.4712202548980713, 0.4712202548980713, 0.01647084392607212, 0.01647084392607212, 0.0037186022382229567,
          0.0037186022382229567,
        ], gradient: 12.548691329630907)
    }
  }
}
