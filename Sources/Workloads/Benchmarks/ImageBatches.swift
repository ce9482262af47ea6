// From images, one at a time, to the batches of a network.

/// Labelled images as a data set: inputs f32 [n, channels, height, width], targets i64 [n].
struct ImageBatches: Dataset {
  let source: any ImageSource

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let size = source.shape.reduce(1, *)
    var labels: [Int] = []
    labels.reserveCapacity(indices.count)
    let pixels = try [Float](unsafeUninitializedCapacity: indices.count * size) { buffer, count in
      for (place, index) in indices.enumerated() {
        let planes = UnsafeMutableBufferPointer(rebasing: buffer[(place * size)..<((place + 1) * size)])
        labels.append(Int(try source.write(index, epoch: epoch, into: planes)))
        count = (place + 1) * size
      }
    }
    return Batch(
      samples: indices.count, inputs: [HostTensor(pixels, shape: [indices.count] + source.shape)],
      targets: [HostTensor(integers: labels, shape: [indices.count])])
  }
}

/// The share of a data set's images whose most likely class is the right one.
func topOneAccuracy(_ loader: DataLoader, _ model: any Layer) throws -> Double {
  var correct = 0.0
  var samples = 0
  let batches = loader.batches(epoch: 0)
  while let batch = try batches.nextBatch()?.tensors() {
    correct += model(batch.inputs[0]).argmax(1).equals(batch.targets[0]).to(.float32).sum().item
    samples += batch.samples
  }
  return samples == 0 ? .nan : correct / Double(samples)
}
