// Which calls lead to the CPU time? An icicle: the root on top, each function as wide as its time.

/// A call tree drawn in percent of the page's width, so that labels keep their size on any screen; a click zooms.
struct FlameGraphChart: Sendable {
  /// A function called along one path.
  struct Node: Sendable {
    var color: ColorKey
    var name: String
    /// Shortened for the box.
    var label: String
    var parent: Int?
    var depth: Int
    var value: Double
    var selfValue: Double
    var details: [String] = []
  }

  var summary: String
  /// Parents before their children.
  var nodes: [Node]
  var total: Double
  /// Boxes that a page holds at most: beyond that they are too small to see, and the page too large.
  var boxLimit = 2500
  var legend: [LegendItem] = []

  static let rowHeight = 18

  /// A box: percent of the width, row.
  struct Box: Sendable {
    var node: Int
    var x: Double
    var width: Double
    var depth: Int
  }

  /// The boxes, widest first up to the limit. A box whose caller is left out is left out too: it can't be wider.
  func boxes() -> [Box] {
    guard total > 0 else { return [] }
    var left = [Double](repeating: 0, count: nodes.count)
    var rootEnd = 0.0
    var result: [Box] = []
    for (index, node) in nodes.enumerated() {
      if let parent = node.parent, parent < index, parent >= 0 {
        left[index] = left[parent]
        left[parent] += node.value
      } else {
        left[index] = rootEnd
        rootEnd += node.value
      }
      // `left` now says where the node's first child goes; its own place is that too.
      result.append(
        Box(node: index, x: left[index] / total * 100, width: node.value / total * 100, depth: node.depth))
    }
    guard result.count > boxLimit else { return result }
    let keep = Set(
      result.indices.sorted { result[$0].width != result[$1].width ? result[$0].width > result[$1].width : $0 < $1 }
        .prefix(boxLimit))
    return result.indices.filter(keep.contains).map { result[$0] }
  }

  /// The `svg` element, as wide as its container.
  func svg() -> HTML {
    let boxes = boxes()
    let depth = (boxes.map(\.depth).max() ?? 0) + 1
    var body = HTML.empty
    for box in boxes {
      let node = nodes[box.node]
      let tip =
        [
          node.name,
          "\(NumberFormat.duration(node.value)) · \(NumberFormat.percent(node.value / total))",
          "in itself: \(NumberFormat.duration(node.selfValue)) · \(NumberFormat.percent(node.selfValue / total))",
        ] + node.details
      let y = box.depth * Self.rowHeight
      // A nested svg clips its label. Four decimals of a percent are a thousandth of a pixel.
      let label: HTML =
        box.width > 1.2
        ? "<text x='4' y='12.5' class='on \(node.color.name)'>\(VisibleText.shortened(node.label, to: 120))</text>" : ""
      body +=
        "<svg class='fg' x='\(percent(box.x))%' y='\(y)' width='\(percent(box.width))%' height='\(Self.rowHeight - 1)' data-x='\(percent(box.x))' data-w='\(percent(box.width))' data-d='\(box.depth)'><rect width='100%' height='100%' class='bar \(node.color.name)'>\(Mark.tip(tip))</rect>\(label)</svg>"
    }
    return
      "<svg class='flame' width='100%' height='\(depth * Self.rowHeight)' role='img' aria-label='\(summary)'>\(body)</svg>"
  }

  private func percent(_ value: Double) -> String {
    let text = NumberFormat.fixed(value, decimals: 3)
    return text.contains(".") ? String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed()) : text
  }
}
