// Is the search ENAS's, does it learn, and is the treebank read as published?
// Outputs and gradient norms are printed by Benchmarks/reference/search_models.py.
import Foundation
import Testing

@testable import Workloads

private func configuration(_ scale: Scale, batch: Int = 8, data: String? = nil) -> BenchmarkConfiguration {
  BenchmarkConfiguration(scale: scale, batchSize: batch, dataDirectory: data, maximumEpochs: 2)
}

extension Computing {
  @Suite struct ArchitectureSearchTests {
    private let graph = CellGraph(activations: [.relu, .tanh, .sigmoid, .identity], predecessors: [0, 0, 2])

    @Test func paperModelHasThePublishedSize() {
      // The shared weights would take 584 MB: by their parts, with a hundredth of the width.
      func count(_ hidden: Int, _ words: Int) -> Int {
        SharedCells(words: words, hidden: hidden, nodes: 12, dropout: .paper, range: 0.1).parameterCount
      }
      // words (h + 1) + 2 (h² + h) + 2 h² + 132 h² + 2 h.
      #expect(count(10, 100) == 100 * 11 + 220 + 200 + 13_200 + 20)
      let shared = 10_000 * 1001 + 2 * 1_001_000 + 2_000_000 + 132_000_000 + 2000
      #expect(shared == 146_014_000)
      let controller = ArchitectureController(nodes: 12, hidden: 100)
      #expect(controller.parameterCount == 106_930)
      #expect(controller.decoders.count == 25)
      #expect(shared + controller.parameterCount == NeuralArchitectureSearch.info.paper.parameters)
      let any = CellGraph(activations: Array(repeating: .tanh, count: 12), predecessors: Array(0..<11))
      // 26 matrices of a million and the output layer.
      let products = any.forwardFLOPs(hidden: 1000, vocabulary: 10_000).products
      #expect(products == 2 * (26_000_000 + 10_000_000))
      #expect(Double(35 * products) == NeuralArchitectureSearch.info.paper.forwardFLOPs)
      let small = SearchModel(.small, words: 200)
      #expect(small.shared.parameterCount == 78_792)
      #expect(small.parameterCount == NeuralArchitectureSearch.info.small.parameters)
    }

    @Test func looseEndsAndEdges() {
      #expect(graph.looseEnds == [1, 3])
      #expect(graph.description == "0 relu, 1 tanh of 0, 2 sigmoid of 0, 3 identity of 2")
      let edges = (1..<5).flatMap { to in (0..<to).map { SharedCells.edge(from: $0, to: to) } }
      #expect(edges == Array(0..<10))
    }

    @Test func cellAgreesWithPyTorch() {
      let model = SharedCells(words: 11, hidden: 6, nodes: 4, dropout: SearchDropout(), range: 0.1)
      StageCheck.fill(model)
      func tokens(_ offset: Int) -> [Int] { (0..<5).flatMap { t in (0..<3).map { (5 * t + 3 * $0 + offset) % 11 } } }
      let (logits, state) = model(
        Tensor(integers: tokens(0), shape: [5, 3]), StageCheck.wave([3, 6], 0.5), graph)
      #expect(logits.shape == [15, 11])
      StageCheck.agree(
        Array(logits.doubles().prefix(6)), [-0.130296, -0.10748, 0.482554, -0.061458, 0.142388, 0.501516])
      StageCheck.agree(
        Array(state.doubles().prefix(6)), [0.318522, 0.114199, 0.124545, 0.328193, 0.071922, 0.15653])
      let loss = logits.crossEntropy(Tensor(integers: tokens(1), shape: [15]))
      #expect(abs(loss.item - 2.412286) < 1e-5)
      StageCheck.agree(
        StageCheck.gradientNorms(model, loss),
        [
          0.10508, 0.0039174, 0.014813, 0.10607, 0.0019797, 0.0044045, 0.0172, 0.024249, 0.0020517, 0.0033518, 0, 0, 0,
          0.0034337, 0.012937, 0.0032319, 0, 0, 0, 0.013994, 0.10344, 0.031545,
        ])
    }

    @Test func elementwiseFLOPsAreTheTracers() throws {
      let model = SharedCells(words: 20, hidden: 8, nodes: 4, dropout: SearchDropout(), range: 0.1)
      let tokens = Tensor(integers: [1, 2, 3, 4, 5, 6], shape: [3, 2])
      func flops(_ graph: CellGraph) throws -> Trace.Sums {
        try Trace.openPrivately()
        defer { Trace.close() }
        let start = Trace.sums
        _ = model(tokens, model.zeroState(2), graph)
        return Trace.sums - start
      }
      let chain = CellGraph(activations: [.tanh, .identity, .identity, .relu], predecessors: [0, 1, 2])
      let costly = CellGraph(activations: [.sigmoid, .relu, .sigmoid, .tanh], predecessors: [0, 1, 2])
      let (a, b) = (try flops(costly), try flops(chain))
      let (own, other) = (
        costly.forwardFLOPs(hidden: 8, vocabulary: 20), chain.forwardFLOPs(hidden: 8, vocabulary: 20)
      )
      #expect(a.counterFLOPs == Double(6 * own.products) && b.counterFLOPs == a.counterFLOPs)
      #expect(own.elementwise - other.elementwise == 8 * (10 - 2))
      #expect(a.formulaFLOPs - b.formulaFLOPs == Double(6 * (own.elementwise - other.elementwise)))
    }

    @Test func statesStayBounded() {
      let model = SharedCells(words: 11, hidden: 6, nodes: 4, dropout: .paper, range: 0.1)
      let large = Tensor.full([2, 6], 100)
      let (_, state) = model(Tensor(integers: [1, 2], shape: [1, 2]), large, graph)
      #expect(state.square().sum([1]).sqrt().max().item < SharedCells.largestNorm + 1e-3)
      // Dropout differs from call to call in training only.
      func logits() -> [Float] {
        model(Tensor(integers: [1, 2, 3, 4], shape: [2, 2]), model.zeroState(2), graph).logits.floats()
      }
      #expect(logits() != logits())
      model.train(false)
      #expect(logits() == logits())
    }

    @Test func controllerFollowsItsReward() {
      Torch.seed(2)
      let controller = ArchitectureController(nodes: 3, hidden: 8)
      let optimizer = Adam(controller.parameters(), learningRate: 0.02)
      var random = SeededRandom(3)
      var policy = PolicyGradient()
      /// Cells are rewarded for tanh.
      func share() -> Double {
        let draws = withoutGradients { (0..<40).map { _ in controller.draw(&random).graph } }
        return draws.reduce(0) { $0 + Double($1.activations.count { $0 == .tanh }) } / 120
      }
      let first = controller.draw(&random)
      #expect(first.logProbabilities.shape == [5] && first.entropies.count == 5)
      // Node 1 has no choice.
      #expect(first.entropies[1] == 0 && first.logProbabilities.floats()[1] == 0)
      let before = share()
      #expect((0.1...0.45).contains(before))
      for _ in 0..<80 {
        let draw = controller.draw(&random)
        let hits = draw.graph.activations.count { $0 == .tanh }
        let advantages = policy.advantages(perplexity: 80 / (1 + Double(hits)), entropies: draw.entropies)
        let loss = -(draw.logProbabilities * Tensor(advantages.map { Float($0) }, shape: [5])).sum()
        optimizer.clearGradients()
        loss.backward()
        optimizer.step()
      }
      #expect(share() > before + 0.25)
    }

    @Test func advantagesHaveTheirClosedForm() {
      var policy = PolicyGradient(rewardScale: 80, entropyWeight: 0.5, decay: 0.75)
      #expect(policy.advantages(perplexity: 40, entropies: [1, 0]) == [0, 0])
      // Rewards 4.5 and 4 against averages of 2.5 and 2 that follow by a quarter.
      #expect(policy.advantages(perplexity: 20, entropies: [1, 0]) == [1.5, 1.5])
    }

    @Test func learns() throws {
      Torch.seed(1)
      let benchmark = try NeuralArchitectureSearch(configuration(.small, batch: 32))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.loader.batchCount == 90)
      let before = try StageCheck.evaluate(stage)
      #expect((150...250).contains(before))
      let losses = try StageCheck.train(stage, steps: 65)
      #expect(losses.allSatisfy(\.isFinite) && losses[59] < losses[0] - 0.3)
      #expect(try StageCheck.evaluate(stage) < before - 30)
      let derived = try #require(benchmark.derived)
      #expect(derived.graph.count == 4 && derived.flops.count == 10)
      let flops = stage.measures().map(\.value)
      #expect(flops.count == 3 && flops[0] <= flops[1] && flops[1] <= flops[2] && flops[0] > 107_520)
      let task = try benchmark.inference()
      let answer = task.answer(try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors())
      #expect(answer.shape == [20 * 32])
    }

    @Test func readsTheTreebank() throws {
      let directory = try TemporaryDirectory()
      let sentences = (0..<60).map { " no it was n't <unk> monday w\($0 % 7) N " }
      try directory.write("ptb.train.txt", sentences.joined(separator: "\n") + "\n")
      try directory.write("ptb.valid.txt", sentences.prefix(20).joined(separator: "\n"))
      let benchmark = try NeuralArchitectureSearch(configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      #expect(benchmark.dataDescription.contains("15 different words, 540 for training, 180 for validation"))
      let stage = try benchmark.stage("")
      #expect(try StageCheck.train(stage, steps: 2).allSatisfy(\.isFinite))
      #expect(try StageCheck.evaluate(stage).isFinite)
      expectDataError(mentions: ["too few", "--batch"]) {
        _ = try NeuralArchitectureSearch(configuration(.small, batch: 200, data: directory.path))
      }
    }
  }
}

struct TreebankTests {
  @Test func wordsAreNumberedByAppearance() throws {
    let directory = try TemporaryDirectory()
    try directory.write("ptb.train.txt", " the cat <unk> \r\n\n the dog \n")
    try directory.write("ptb.valid.txt", "a dog\n")
    let text = try PennTreebank.load(directory: directory.path)
    #expect(text.words == ["the", "cat", "<unk>", "<eos>", "dog"])
    #expect(text.train == [0, 1, 2, 3, 0, 4, 3])
    #expect(text.validation == [2, 4, 3])
  }

  @Test func badTextsAreTold() throws {
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["ptb.train.txt"]) { _ = try PennTreebank.load(directory: directory.path) }
    try directory.write("ptb.train.txt", "\n \n")
    try directory.write("ptb.valid.txt", "a\n")
    expectDataError(mentions: ["ptb.train.txt", "a sentence a line"]) {
      _ = try PennTreebank.load(directory: directory.path)
    }
    try directory.write("ptb.train.txt", "b c\n")
    expectDataError(mentions: ["ptb.valid.txt, line 1", "<unk>"]) {
      _ = try PennTreebank.load(directory: directory.path)
    }
    try directory.write("ptb.train.txt", [0x61, 0x0A, 0xFF, 0xFE, 0x0A])
    expectDataError(mentions: ["ptb.train.txt, line 2", "UTF-8"]) {
      _ = try PennTreebank.load(directory: directory.path)
    }
  }

  @Test func columnsGoOnWhereTheyEnded() {
    // 2 columns of 7: 0 … 6 and 7 … 13; the fifteenth token is left out.
    let text = TextColumns(tokens: (0..<15).map { Int32($0) }, columns: 2, segment: 4)
    #expect(text.length == 7 && text.count == 2)
    #expect(text.segment(0).tokens == HostTensor(integers: [0, 7, 1, 8, 2, 9, 3, 10], shape: [4, 2]))
    #expect(text.segment(0).next == HostTensor(integers: [1, 8, 2, 9, 3, 10, 4, 11], shape: [8]))
    #expect(text.segment(1).tokens == HostTensor(integers: [4, 11, 5, 12], shape: [2, 2]))
    #expect(TextColumns(tokens: [1, 2, 3], columns: 3, segment: 4).count == 0)
  }

  @Test func theScheduleTakesTurns() {
    let text = TextColumns(tokens: (0..<40).map { Int32($0) }, columns: 2, segment: 5)
    let schedule = SearchSchedule(train: text, validation: text, sharedSteps: 3, controllerSteps: 2)
    #expect(schedule.count == 10)
    var random = SeededRandom(1)
    // Segments of 4: kind, beginning, first token.
    let seen = (0..<2).flatMap { epoch in
      (0..<5).map { number -> [Int] in
        let batch = schedule.batch([2 * number, 2 * number + 1], epoch: epoch, random: &random)
        guard case .integers(let kind) = batch.inputs[1].storage, case .integers(let tokens) = batch.inputs[0].storage
        else { return [] }
        return kind + [tokens[0]]
      }
    }
    #expect(
      seen == [
        [0, 1, 0], [0, 0, 5], [0, 0, 10], [1, 1, 0], [1, 0, 5],
        [0, 1, 15], [0, 1, 0], [0, 0, 5], [1, 1, 10], [1, 0, 15],
      ])
  }

  @Test func syntheticTextIsReproducibleAndPredictable() {
    let text = SyntheticText.small.text(seed: 1)
    #expect(text.train.count == 40_000 && text.validation.count == 6000 && text.words.count == 200)
    #expect(text == SyntheticText.small.text(seed: 1) && text != SyntheticText.small.text(seed: 2))
    // As Benchmarks/reference/synthetic.py makes it.
    let seventh = SyntheticText.small.text(seed: 7)
    let bytes = (seventh.train + seventh.validation).map { UInt8($0) }
    #expect(fingerprint(bytes) == 419_221_277_306_308_936)
    /// Perplexity by counted words, in classes by the last `order` classes.
    func perplexity(order: Int) -> Double {
      func context(_ index: Int) -> [Int32] { (1...max(order, 1)).map { order == 0 ? 0 : text.train[index - $0] / 20 } }
      var (pairs, totals): ([[Int32]: Double], [[Int32]: Double]) = ([:], [:])
      for index in 2..<text.train.count {
        pairs[context(index) + [text.train[index]], default: 0] += 1
        totals[context(index), default: 0] += 1
      }
      let sum = pairs.reduce(0.0) { $0 - $1.value * log($1.value / (totals[Array($1.key.dropLast())] ?? 1)) }
      return exp(sum / Double(text.train.count - 2))
    }
    let (words, second) = (perplexity(order: 0), perplexity(order: 2))
    #expect((100...160).contains(words), "\(words)")
    #expect(second < 50, "\(second)")
  }
}
