export { default as sankey } from './sankey.js';
export { center as sankeyCenter, left as sankeyLeft, right as sankeyRight, justify as sankeyJustify } from './align.js';
export { sankeyLinkHorizontal } from './link.js';
