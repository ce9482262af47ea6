// Which members are alike, which kernels are, and how sure is that?
import Analysis
import Foundation
import ProfileModel

extension SuitePage {
  // MARK: Figure 4

  var similarity: ReportDocument.Section? {
    let similarity: SuiteSimilarity
    switch suite.similarity {
    case .unavailable(let why):
      return Self.section(
        "similarity", "Which benchmarks are alike", short: "Similarity", [Self.missing("Similarity", why)])
    case .measured(let value, _): similarity = value
    }
    return Self.section(
      "similarity", "Which benchmarks are alike", short: "Similarity",
      [.paragraph(featureWords(similarity))] + similarity.leftOut.map { .note(Note(.warning, $0)) } + [
        mapFigure(similarity), treeFigure(similarity),
        candidatesTable(similarity),
        componentsFigure(similarity), pairsTable(similarity), alternativesTable(similarity), featuresTable(similarity),
      ])
  }

  private func featureWords(_ similarity: SuiteSimilarity) -> Prose {
    let scaling =
      similarity.selection == .categories
      ? "as square roots of shares (Hellinger’s distance)"
      : "each axis by median and median absolute deviation, extremes drawn in to 3 of it"
        + (similarity.selection == .both ? "; shares as square roots (Hellinger’s distance)" : "")
    return """
      Compared by \(similarity.features.features.count) features: \(SuitePage.words(similarity.selection)); \(scaling). \
      Groups are cut from the \(similarity.grouping.dendrogram.linkage == .ward ? "Ward" : "average-linkage") tree in the space of \
      these features; the map is for looking only.
      """
  }

  static func words(_ selection: FeatureSelection) -> String {
    switch selection {
    case .patterns: "the axes of the Kiviat diagrams"
    case .categories: "shares of kernel time by category"
    case .both:
      "the axes of the Kiviat diagrams and the shares of kernel time by category, both groups with the same weight"
    case .model: "parameters, FLOPs and epochs on logarithmic scales"
    }
  }

  /// What has to be printed on a map, so that nobody takes it for more than it is.
  static func mapFacts(_ map: SimilarityMap) -> Prose {
    "t-SNE, perplexity \(NumberFormat.decimal(map.perplexity)), best of \(map.restarts) restarts: Kullback–Leibler divergence \(NumberFormat.decimal(map.klDivergence)), trustworthiness \(map.trustworthiness.map { NumberFormat.decimal($0) } ?? "not defined for so few points"), stability over restarts \(map.stability.map { NumberFormat.decimal($0) } ?? "not defined"). Distances between far points and sizes of groups mean nothing on such a map."
  }

  private func mapFigure(_ similarity: SuiteSimilarity) -> ReportDocument.Block {
    let map = similarity.map
    let ids = similarity.features.members
    let points = ids.indices.map { index in
      let cluster = similarity.grouping.labels[index]
      let isMedoid = similarity.grouping.medoids.contains(index)
      return ScatterChart.Point(
        x: map.points[index, 0], y: map.points[index, 1], label: title(of: ids[index]), color: .group(cluster),
        symbol: isMedoid ? .diamond : .circle, size: isMedoid ? 7 : 5, group: cluster,
        details: ["group \(cluster + 1)\(isMedoid ? ", its middle member" : "")"])
    }
    let groups = similarity.grouping.clusters
    return .figure(
      ReportDocument.Figure(
        title: groups > 1 ? "\(groups) groups of benchmarks" : "No group stands apart",
        drawing: .chart(
          ScatterChart(
            summary: "A map of the benchmarks by what they do to the machine", points: points, showsHulls: groups > 1,
            keys: groupKeys, symbolKeys: [.init(symbol: .diamond, text: "middle member of its group")])),
        caption: "Figure 4 of the technical report. " + Self.mapFacts(map),
        table: Table(
          columns: [
            .name("Benchmark"), Table.Column("Group"),
            Table.Column("Silhouette", hint: "1: far from all others; below 0: nearer to another group"),
            Table.Column("x"), Table.Column("y"),
          ],
          rows: ids.indices.map { index in
            [
              Table.Cell(title(of: ids[index])), .count(similarity.grouping.labels[index] + 1),
              .number(similarity.grouping.silhouettes[index], unit: "1"), .number(map.points[index, 0], unit: "1"),
              .number(map.points[index, 1], unit: "1"),
            ]
          }), provenance: Provenance(.derived, detail: "seed \(map.seed)")))
  }

  private func treeFigure(_ similarity: SuiteSimilarity) -> ReportDocument.Block {
    let grouping = similarity.grouping
    return .figure(
      ReportDocument.Figure(
        title: "What joins first when the nearest are merged",
        drawing: .chart(
          DendrogramChart(
            summary: "Tree of the benchmarks by distance", tree: grouping.dendrogram,
            labels: similarity.features.members.map(title(of:)), clusters: grouping.clusters,
            axisTitle: "distance of the merge")),
        table: Table(
          columns: [
            Table.Column("Step"), .name("Joins"), .name("with"), Table.Column("Distance"), Table.Column("Members"),
          ],
          rows: grouping.dendrogram.merges.enumerated().map { index, merge in
            func name(_ cluster: Int) -> Table.Cell {
              cluster < grouping.dendrogram.count
                ? Table.Cell(title(of: similarity.features.members[cluster]))
                : Table.Cell("what step \(cluster - grouping.dendrogram.count + 1) made")
            }
            return [
              .count(index + 1), name(merge.first), name(merge.second), .number(merge.distance, unit: "1"),
              .count(merge.size),
            ]
          })))
  }

  private func candidatesTable(_ similarity: SuiteSimilarity) -> ReportDocument.Block {
    let grouping = similarity.grouping
    return .table(
      title:
        "How many groups: \(grouping.bySilhouette) by the silhouette, \(grouping.byGap) by the gap statistic, \(grouping.clusters) used",
      Table(
        columns: [
          Table.Column("Groups"), Table.Column("Silhouette"), Table.Column("Gap"), Table.Column("Its standard error"),
          Table.Column("Stability", hint: "adjusted Rand index with the groups of bootstrap samples, mean"),
          Table.Column("±", hint: "standard deviation over the samples"),
          Table.Column("k-means agrees", hint: "adjusted Rand index with the groups of k-means"),
        ],
        rows: grouping.candidates.map { candidate in
          var count = Table.Cell.count(candidate.clusters)
          count.isStrong = candidate.clusters == grouping.clusters
          return [
            count, candidate.silhouette.map { .number($0, unit: "1") } ?? "—", .number(candidate.gap, unit: "1"),
            .number(candidate.gapError, unit: "1"), .number(candidate.stability, unit: "1"),
            .number(candidate.stabilityDeviation, unit: "1"), .number(candidate.agreementWithKMeans, unit: "1"),
          ]
        },
        note:
          "Silhouette: Rousseeuw 1987. Gap statistic: Tibshirani, Walther and Hastie 2001, the smallest number within one standard error of the best. A silhouette below 0.25 is “no substantial structure” (Kaufman and Rousseeuw 1990)."
      ), isFolded: false)
  }

  private func componentsFigure(_ similarity: SuiteSimilarity) -> ReportDocument.Block? {
    let components = similarity.components
    guard components.scores.columns > 1 else { return nil }
    let ids = similarity.features.members
    func axis(_ index: Int) -> PlotAxis {
      PlotAxis(
        title: "component \(index + 1), \(NumberFormat.percent(components.shares[index])) of the variance",
        format: .decimal)
    }
    let points = ids.indices.map { index in
      ScatterChart.Point(
        x: components.scores[index, 0], y: components.scores[index, 1], label: title(of: ids[index]),
        color: .group(similarity.grouping.labels[index]), group: similarity.grouping.labels[index])
    }
    let shown = components.shares[0] + components.shares[1]
    return .figure(
      ReportDocument.Figure(
        title: "Two directions hold \(NumberFormat.percent(shown)) of the differences",
        drawing: .chart(
          ScatterChart(
            summary: "The benchmarks along the first two principal components", points: points, x: axis(0), y: axis(1),
            keys: groupKeys)),
        caption:
          "Principal components of the same features: distances here are real ones, as far as two directions show them.",
        table: Table(
          columns: [.name("Feature"), Table.Column("Component 1"), Table.Column("Component 2")],
          rows: similarity.features.features.indices.map { feature in
            [
              Table.Cell(similarity.features.features[feature]),
              .number(components.components[0, feature], unit: "1"),
              .number(components.components[1, feature], unit: "1"),
            ]
          }, note: "Loadings.")))
  }

  private func pairsTable(_ similarity: SuiteSimilarity) -> ReportDocument.Block? {
    guard !similarity.pairs.isEmpty else { return nil }
    let middle = similarity.pairs[similarity.pairs.count / 2].distance
    return .table(
      title: "The nearest pairs, candidates for redundancy",
      Table(
        columns: [
          .name("Benchmark"), .name("and"), Table.Column("Distance"), Table.Column("Of the median distance"),
        ],
        rows: similarity.pairs.prefix(10).map {
          [
            Table.Cell(title(of: $0.first)), Table.Cell(title(of: $0.second)), .number($0.distance, unit: "1"),
            middle > 0 ? .share($0.distance / middle) : "—",
          ]
        }), isFolded: false)
  }

  private func alternativesTable(_ similarity: SuiteSimilarity) -> ReportDocument.Block? {
    guard !similarity.alternatives.isEmpty else { return nil }
    return .table(
      title: "What other features would give",
      Table(
        columns: [
          .name("Features"), Table.Column("Used"), Table.Column("Groups"),
          Table.Column("Agreement", hint: "adjusted Rand index with the groups used here"),
        ],
        rows: similarity.alternatives.map {
          [
            Table.Cell(SuitePage.words($0.selection)), .count($0.features), .count($0.clusters),
            .number($0.agreement, unit: "1"),
          ]
        }), isFolded: true)
  }

  private func featuresTable(_ similarity: SuiteSimilarity) -> ReportDocument.Block {
    let left = similarity.features.remarks
    return .table(
      title: "Features: \(similarity.features.features.count) used, \(left.count(where: \.isLeftOut)) left out",
      Table(
        columns: [.name("Feature"), .name("Use")],
        rows: similarity.features.features.map { feature in
          let remarks = left.filter { $0.feature == feature && !$0.isLeftOut }.map(\.reason)
          return [Table.Cell(feature), Table.Cell((["used"] + remarks).joined(separator: "; "))]
        } + left.filter(\.isLeftOut).map { [Table.Cell($0.feature), Table.Cell("left out: \($0.reason)")] }),
      isFolded: true)
  }

  // MARK: Kernels

  var kernels: ReportDocument.Section? {
    let kernels: KernelMap
    switch suite.kernelMap {
    case .unavailable(let why):
      return Self.section(
        "kernels", "Which kernels are alike", short: "Kernel map", [Self.missing("Map of kernels", why)])
    case .measured(let value, _): kernels = value
    }
    var categories: [KernelCategory: Int] = [:]
    for point in kernels.points { categories[point.category, default: 0] += 1 }
    let order = categories.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }.map(\.key)
    let byCategory = kernels.points.indices.map { index in
      ScatterChart.Point(
        x: kernels.map.points[index, 0], y: kernels.map.points[index, 1],
        color: .category(kernels.points[index].category), size: 2.5)
    }
    let ids = members.map(\.id).filter { id in kernels.points.contains { $0.member == id } }
    let byMember = kernels.points.indices.map { index in
      let member = ids.firstIndex(of: kernels.points[index].member) ?? 0
      return ScatterChart.Point(
        x: kernels.map.points[index, 0], y: kernels.map.points[index, 1], color: .group(member),
        symbol: ScatterChart.Symbol.allCases[(member / 8) % 4], size: 2.5)
    }
    let hottest = kernels.points.indices.sorted {
      (kernels.points[$1].share, $0) < (kernels.points[$0].share, $1)
    }.prefix(100)
    let table = Table(
      columns: [
        .name("Kernel"), .name("Shapes"), .name("Benchmark"), .name("Category"), Table.Column("Of its kernel time"),
      ],
      rows: hottest.map { index in
        let point = kernels.points[index]
        return [
          .code(point.name), .code(point.shapes), Table.Cell(title(of: point.member)),
          .key(point.category.rawValue, .category(point.category)), .share(point.share),
        ]
      }, note: "The hundred hottest of \(kernels.points.count).")
    let facts = Self.mapFacts(kernels.map)
    let left: Prose =
      kernels.leftOut > 0
      ? " \(kernels.leftOut) kernels that take too little time for a place, \(NumberFormat.percent(kernels.leftOutShare)) of it together, are not shown."
      : ""
    return Self.section(
      "kernels", "Which kernels are alike", short: "Kernel map",
      [
        .figure(
          ReportDocument.Figure(
            title: "\(kernels.points.count) kernels by what they do, coloured by category",
            drawing: .chart(
              ScatterChart(
                summary: "A map of the suite’s kernels, coloured by category", points: byCategory,
                keys: order.map { LegendItem(color: .category($0), text: $0.rawValue) })),
            caption:
              "A point is an operation on operands of one shape in one benchmark, placed by \(kernels.features.joined(separator: ", ")). "
              + facts + left,
            table: table)),
        .figure(
          ReportDocument.Figure(
            title: "The same map, coloured by benchmark",
            drawing: .chart(
              ScatterChart(
                summary: "A map of the suite’s kernels, coloured by benchmark", points: byMember,
                keys: ids.enumerated().map { LegendItem(color: .group($0.offset), text: title(of: $0.element)) },
                symbolKeys: ids.count > 8
                  ? stride(from: 0, to: ids.count, by: 8).map {
                    .init(
                      symbol: ScatterChart.Symbol.allCases[($0 / 8) % 4],
                      text: $0 + 1 == ids.count
                        ? "the last benchmark" : "benchmarks \($0 + 1)–\(min($0 + 8, ids.count))")
                  } : [])),
            caption:
              "Where colours mix, benchmarks share kernels; an island of one colour is work that no other member does.",
            table: Table(
              columns: [.name("Benchmark"), Table.Column("Kernels on the map")],
              rows: ids.map { id in [Table.Cell(title(of: id)), .count(kernels.points.count { $0.member == id })] }))),
      ])
  }
}
