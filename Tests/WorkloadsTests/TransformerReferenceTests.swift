// Do the Transformer, GNMT and BERT compute what PyTorch's own layers compute, forward and backward?
// The expected numbers are printed by Benchmarks/reference/transformers.py (PyTorch 2.13, in f64).
import Foundation
import Testing

@testable import Workloads

/// Numbers that both programs make from a parameter's name.
private func fill(_ model: Module) {
  for (path, parameter) in model.namedParameters() {
    let phase = Double(path.utf8.reduce(0) { $0 + Int($1) } % 97)
    let values = (0..<parameter.count).map { Float(0.7 * Foundation.sin(0.37 * Double($0) + phase)) }
    parameter.detached().copy(from: Tensor(values, shape: parameter.shape))
  }
}

/// Compares the loss, the joint norm of all gradients and the norms of some.
private func expect(
  _ model: Module, _ loss: Tensor, _ expected: Double, gradients: [String: Double],
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(abs(loss.item / expected - 1) < 1e-5, sourceLocation: sourceLocation)
  loss.backward()
  var squares = 0.0
  var norms: [String: Double] = [:]
  for (path, parameter) in model.namedParameters() {
    let norm = parameter.gradient?.norm().item ?? 0
    norms[path] = norm
    squares += norm * norm
  }
  norms["total"] = squares.squareRoot()
  for (path, value) in gradients {
    let norm = norms[path] ?? .nan
    // f32's rounding is relative to the whole.
    let tolerance = 1e-3 * value + 1e-6 * squares.squareRoot()
    #expect(abs(norm - value) < tolerance, "\(path): \(norm)", sourceLocation: sourceLocation)
  }
}

private var source: Tensor { Tensor(integers: [4, 7, 5, 3, 6, 8, 3, 0], shape: [2, 4]) }
private var lengths: Tensor { Tensor(integers: [4, 3], shape: [2]) }
private var target: Tensor { Tensor(integers: [2, 5, 4, 6, 2, 7, 0, 0], shape: [2, 4]) }
private var next: Tensor { Tensor(integers: [5, 4, 6, 3, 7, 3, 0, 0], shape: [8]) }

extension Computing {
  @Suite struct TransformerReferenceTests {
    private func transformer(_ original: TranslationTransformer.Shape) -> (TranslationTransformer, Tensor) {
      var shape = original
      shape.stack.width = 8
      shape.stack.heads = 2
      shape.stack.hidden = 12
      shape.stack.layers = 2
      let model = TranslationTransformer(shape, sourceVocabulary: 9, targetVocabulary: 9)
      fill(model)
      model.train(false)
      let logits = model(source, lengths: lengths, target: target)
      return (model, logits.crossEntropy(next, labelSmoothing: 0.1, ignoring: 0))
    }

    @Test func baseTransformer() {
      let (model, loss) = transformer(.base)
      expect(
        model, loss, 2.24540924,
        gradients: [
          "total": 0.41120131,
          "source_embedding.weight": 0.00019357728,
          "encoder.layers.1.self_attn.out_proj.bias": 0.0011158097,
          "decoder.layers.0.memory_attn.in_proj.weight": 3.6188593e-08,
          "decoder.layers.1.self_attn.out_proj.weight": 0.026549381,
          "decoder.layers.1.residual3.norm.weight": 0.18161072,
        ])
    }

    @Test func bigTransformer() {
      let (model, loss) = transformer(.big)
      expect(
        model, loss, 2.93324568,
        gradients: [
          "total": 1.5693837,
          "source_embedding.weight": 0.80519688,
          "encoder.layers.1.self_attn.in_proj.weight": 0.0003188339,
          "decoder.layers.0.self_attn.out_proj.weight": 0.19386793,
          "decoder.layers.1.residual1.norm.bias": 0.0064829161,
          "decoder.layers.1.feed_forward.linear2.bias": 0.05932685,
        ])
    }

    @Test func gnmt() {
      let model = GNMT(GNMT.Shape(width: 8, layers: 3, dropout: 0.1), vocabulary: 9)
      fill(model)
      model.train(false)
      let reversed = Tensor(integers: [3, 2, 1, 0, 6, 5, 4, 7], shape: [8])
      let logits = model(source, reversed: reversed, target: target)
      expect(
        model, logits.crossEntropy(next, labelSmoothing: 0.1, ignoring: 0), 2.54825203,
        gradients: [
          "total": 0.83107937,
          "embedding.weight": 0.042999954,
          "encoder.0.weight_ih_l0": 0.045242161,
          "query.weight_hh_l0": 0.0072967118,
          "decoder.0.weight_hh_l0": 0.035160433,
        ])
    }

    @Test func bert() {
      var shape = BERT.Shape.small(vocabulary: 9, positions: 6)
      shape.stack.width = 8
      shape.stack.heads = 2
      shape.stack.hidden = 12
      let model = BERT(shape)
      fill(model)
      model.train(false)
      let states = model(
        Tensor(integers: [2, 7, 4, 3, 5, 3, 2, 4, 3, 6, 3, 0], shape: [2, 6]),
        segments: Tensor(integers: [0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0], shape: [2, 6]),
        lengths: Tensor(integers: [6, 5], shape: [2]))
      let tokens = model.guesses(states, at: Tensor(integers: [2, 4, 7], shape: [3]))
        .crossEntropy(Tensor(integers: [8, 5, 6], shape: [3]))
      let relationship = model.relationship(states).crossEntropy(Tensor(integers: [1, 0], shape: [2]))
      expect(
        model, tokens + relationship, 3.01381421,
        gradients: [
          "total": 1.6524391,
          "word_embeddings.weight": 1.0675398,
          "encoder.layers.0.residual1.norm.weight": 0.023100707,
          "encoder.layers.1.self_attn.in_proj.bias": 0.034808772,
          "encoder.layers.1.residual2.norm.weight": 0.24236079,
          "seq_relationship.weight": 0.46017201,
        ])
    }
  }
}
