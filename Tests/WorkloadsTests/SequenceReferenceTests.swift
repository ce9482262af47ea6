// Do the models for speech, captions and headlines agree with PyTorch, forward and backward?
// The expected numbers are printed by Benchmarks/reference/sequences.py (PyTorch 2.13).
import Testing

@testable import Workloads

/// The same numbers as the script makes: a sawtooth of integers.
private func values(_ shape: [Int], _ number: Int, _ scale: Double) -> Tensor {
  let count = shape.reduce(1, *)
  return Tensor(
    (0..<count).map { Float((Double(($0 * 7919 + number * 104_729) % 2003) / 2003 - 0.5) * scale) }, shape: shape)
}

private func fill(_ model: Module, _ scale: Double) {
  for (number, named) in model.namedParameters().sorted(by: { $0.path < $1.path }).enumerated() {
    let isScale = named.path.hasSuffix("weight") && named.parameter.rank == 1
    let filled = values(named.parameter.shape, number, scale)
    withoutGradients { named.parameter.copy(from: isScale ? filled + 1 : filled) }
  }
}

/// Runs the backward pass and compares the loss and the norm of every parameter's gradient.
private func expect(
  _ model: Module, loss: Tensor, equals expected: Double, gradients: [(path: String, norm: Double)]
) {
  #expect(abs(loss.item - expected) < 1e-5 * expected)
  loss.backward()
  let named = model.namedParameters().sorted { $0.path < $1.path }
  #expect(named.map(\.path) == gradients.map(\.path))
  for ((path, parameter), (_, norm)) in zip(named, gradients) {
    let ours = parameter.gradient?.norm().item ?? .nan
    #expect(abs(ours - norm) < 1e-3 * norm + 1e-6, "\(path): \(ours), PyTorch \(norm)")
  }
}

/// Takes an image's numbers for its features.
private final class PixelsAsFeatures: Module, ImageEncoder {
  static let featureCount = 6
  func features(_ x: Tensor) -> Tensor { x.flattened(1) }
}

extension Computing {
  @Suite struct SequenceReferences {
    @Test func deepSpeech2() {
      let model = DeepSpeech2(
        DeepSpeech2.Shape(bins: 21, channels: 2, kernels: [Size2D(5, 3), Size2D(3, 3)], hidden: 4, layers: 2))
      fill(model, 0.8)
      let batch = TensorBatch(
        samples: 2, inputs: [values([2, 1, 21, 13], 50, 2), Tensor(integers: [13, 9], shape: [2])],
        targets: [Tensor(integers: [3, 3, 28, 5, 1, 0], shape: [2, 3]), Tensor(integers: [3, 2], shape: [2])])
      expect(
        model, loss: SpeechRecognition.loss(model, batch), equals: 16.915039,
        gradients: [
          ("bn.bias", 1.1569), ("bn.weight", 0.714333), ("conv.0.bn.bias", 0.0346519),
          ("conv.0.bn.weight", 0.128538), ("conv.0.conv.bias", 0.040776), ("conv.0.conv.weight", 1.29444),
          ("conv.1.bn.bias", 0.497853), ("conv.1.bn.weight", 0.227508), ("conv.1.conv.bias", 0.0729191),
          ("conv.1.conv.weight", 0.823375), ("fc.weight", 2.72416), ("rnns.0.rnn.bias_hh_l0", 0.0960124),
          ("rnns.0.rnn.bias_hh_l0_reverse", 0.17942), ("rnns.0.rnn.bias_ih_l0", 0.123161),
          ("rnns.0.rnn.bias_ih_l0_reverse", 0.268452), ("rnns.0.rnn.weight_hh_l0", 0.185906),
          ("rnns.0.rnn.weight_hh_l0_reverse", 0.163723), ("rnns.0.rnn.weight_ih_l0", 1.72843),
          ("rnns.0.rnn.weight_ih_l0_reverse", 2.14951), ("rnns.1.batch_norm.bias", 0.352809),
          ("rnns.1.batch_norm.weight", 0.284083), ("rnns.1.rnn.bias_hh_l0", 0.299056),
          ("rnns.1.rnn.bias_hh_l0_reverse", 0.369061), ("rnns.1.rnn.bias_ih_l0", 0.486926),
          ("rnns.1.rnn.bias_ih_l0_reverse", 0.584967), ("rnns.1.rnn.weight_hh_l0", 0.201456),
          ("rnns.1.rnn.weight_hh_l0_reverse", 0.356863), ("rnns.1.rnn.weight_ih_l0", 0.91696),
          ("rnns.1.rnn.weight_ih_l0_reverse", 1.06051),
        ])
    }

    @Test func captionGenerator() {
      let model = CaptionGenerator(
        CaptionGenerator.Shape(embedding: 5, hidden: 4), encoder: PixelsAsFeatures(), isFrozen: true, words: 9)
      fill(model, 3)
      let logits = model(
        values([3, 6], 50, 2), words: Tensor(integers: [4, 5, 6, 7, 8, 0, 4, 0, 0], shape: [3, 3]), lengths: [4, 3, 2])
      // Captions 4 5 6, 7 8 and 4, each with its end, in the order of a packed sequence.
      let targets = Tensor(integers: [4, 7, 4, 5, 8, 2, 6, 2, 2], shape: [9])
      expect(
        model, loss: logits.crossEntropy(targets), equals: 2.767102,
        gradients: [
          ("bn.bias", 0.0769276), ("bn.weight", 0.0192695), ("embed.weight", 0.155978), ("linear.bias", 0),
          ("linear.weight", 0.002417), ("lstm.bias_hh_l0", 0.0657439), ("lstm.bias_ih_l0", 0.0657439),
          ("lstm.weight_hh_l0", 0.0356373), ("lstm.weight_ih_l0", 0.142004), ("output.bias", 0.3804),
          ("output.weight", 0.253445),
        ])
    }

    @Test func pointerGenerator() {
      let model = PointerGenerator(PointerGenerator.Shape(words: 8, embedding: 4, hidden: 3))
      fill(model, 3)
      let batch = TensorBatch(
        samples: 2,
        inputs: [
          Tensor(integers: [4, 3, 5, 6, 3, 7, 3, 4, 0, 0], shape: [2, 5]),
          Tensor(integers: [4, 8, 5, 6, 9, 7, 8, 4, 0, 0], shape: [2, 5]), Tensor(integers: [5, 3], shape: [2]),
          Tensor(integers: [2], shape: [1]), Tensor(integers: [1, 3, 5, 6, 1, 7, 3, 0], shape: [2, 4]),
        ], targets: [Tensor(integers: [8, 5, 6, 2, 7, 8, 2, 0], shape: [2, 4])])
      let writer = HeadlineWriter(model: model, limit: 4, ownWords: 0)
      expect(
        model, loss: writer.likelihoodLoss(batch), equals: 4.517467,
        gradients: [
          ("V.bias", 0.759825), ("V.weight", 0.547727), ("V1.bias", 0.42569), ("V1.weight", 1.24012),
          ("cell.bias_hh", 0.13944), ("cell.bias_ih", 0.13944), ("cell.weight_hh", 0.0307568),
          ("cell.weight_ih", 1.12261), ("dec_attention.W_prev.weight", 0.0114238),
          ("dec_attention.W_s.bias", 0.00388086), ("dec_attention.W_s.weight", 0.00219122),
          ("dec_attention.v.weight", 0.0170683), ("embeds.weight", 1.24752), ("enc_attention.W_h.weight", 0.0527636),
          ("enc_attention.W_s.bias", 0.0287167), ("enc_attention.W_s.weight", 0.0426758),
          ("enc_attention.v.weight", 0.215235), ("lstm.bias_hh_l0", 0.522998), ("lstm.bias_hh_l0_reverse", 0.157073),
          ("lstm.bias_ih_l0", 0.522998), ("lstm.bias_ih_l0_reverse", 0.157073), ("lstm.weight_hh_l0", 0.113549),
          ("lstm.weight_hh_l0_reverse", 0.0360932), ("lstm.weight_ih_l0", 1.01737),
          ("lstm.weight_ih_l0_reverse", 0.247298), ("p_gen_linear.bias", 0.193899), ("p_gen_linear.weight", 2.66136),
          ("reduce_c.bias", 0.00258245), ("reduce_c.weight", 0.00247825), ("reduce_h.bias", 0.0),
          ("reduce_h.weight", 0.0), ("x_context.bias", 0.266057), ("x_context.weight", 0.651709),
        ])
    }
  }
}
