// Do tensors and layers compute what they should?
import Testing

@testable import Workloads

@Test func linearGradientIsTheClosedForm() {
  let layer = Linear(2, 1)
  layer.weight.copy(from: Tensor([2, 3], shape: [1, 2]))
  layer.bias?.copy(from: Tensor([1], shape: [1]))
  let x = Tensor([1, 2, 3, 4], shape: [2, 2])
  let y = layer(x)
  #expect(y.floats() == [9, 19])
  y.sum().backward()
  #expect(layer.weight.gradient?.floats() == [4, 6])
  #expect(layer.namedParameters().map(\.path) == ["weight", "bias"])
}
