// What d3-sankey's sankeyLinkHorizontal draws with d3-shape 1.3.7 (curveHorizontal), as the text of an SVG path.

export function sankeyLinkHorizontal() {
  return (link) => {
    const [x0, y0, x1, y1] = [link.source.x1, link.y0, link.target.x0, link.y1];
    const middle = (x0 + x1) / 2;
    return `M${x0},${y0}C${middle},${y0},${middle},${y1},${x1},${y1}`;
  };
}
