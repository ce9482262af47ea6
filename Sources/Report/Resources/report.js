// Hover texts, sortable tables, the flame graph's zoom and search, copy buttons, the place in the contents.
'use strict';
(() => {
  const each = (selector, action, root = document) => root.querySelectorAll(selector).forEach(action);

  // Hover texts: without this script they are the browser's own (title); with it they look better and appear at once.
  const tip = document.getElementById('tip');
  const tips = new WeakMap();
  each('svg title', title => {
    const element = title.parentNode;
    tips.set(element, title.textContent);
    element.setAttribute('aria-label', title.textContent);
    title.remove();
  });
  each('[title]', element => {
    tips.set(element, element.title);
    element.setAttribute('aria-description', element.title);
    element.removeAttribute('title');
  });
  const owner = node => {
    for (; node && node !== document; node = node.parentNode) if (tips.has(node)) return node;
    return null;
  };
  const place = event => {
    const gap = 14, box = tip.getBoundingClientRect();
    let x = event.clientX + gap, y = event.clientY + gap;
    if (x + box.width > innerWidth - 8) x = Math.max(8, event.clientX - gap - box.width);
    if (y + box.height > innerHeight - 8) y = Math.max(8, event.clientY - gap - box.height);
    tip.style.left = x + 'px';
    tip.style.top = y + 'px';
  };
  const show = event => {
    const element = owner(event.target);
    if (!element) { tip.hidden = true; return; }
    const lines = tips.get(element).split('\n');
    tip.textContent = '';
    const first = document.createElement(lines.length > 1 ? 'b' : 'span');
    first.textContent = lines[0];
    tip.append(first);
    if (lines.length > 1) tip.append('\n' + lines.slice(1).join('\n'));
    tip.hidden = false;
    place(event);
  };
  document.addEventListener('pointermove', show, { passive: true });
  document.addEventListener('pointerdown', show, { passive: true });
  document.addEventListener('scroll', () => { tip.hidden = true; }, { passive: true, capture: true });
  document.addEventListener('pointerleave', () => { tip.hidden = true; });

  // Tables sort by a click on a column's head: numbers by their value, texts by the alphabet.
  const sortBy = header => {
    const table = header.closest('table'), body = table.tBodies[0], column = header.cellIndex;
    const wasDown = header.getAttribute('aria-sort') === 'descending';
    const numeric = header.classList.contains('num');
    const down = header.hasAttribute('aria-sort') ? !wasDown : numeric;
    each('th', other => other.removeAttribute('aria-sort'), table);
    header.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const key = row => {
      const cell = row.cells[column];
      if (!cell) return null;
      if ('v' in cell.dataset) return Number(cell.dataset.v);
      return cell.classList.contains('none') || cell.textContent === '' ? null : cell.textContent.toLowerCase();
    };
    const rows = [...body.rows].map(row => ({ row, key: key(row) }));
    rows.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      const order = typeof a.key === 'number' && typeof b.key === 'number'
        ? a.key - b.key : String(a.key).localeCompare(String(b.key));
      return down ? -order : order;
    });
    body.append(...rows.map(item => item.row));
  };
  each('th', header => {
    if (header.closest('table').tBodies[0].rows.length < 2) return;
    header.tabIndex = 0;
    header.addEventListener('click', () => sortBy(header));
    header.addEventListener('keydown', event => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      sortBy(header);
    });
  });

  // The flame graph: a click makes a function as wide as the page, a search marks functions by name.
  each('figure:has(.flame)', figure => {
    const boxes = [...figure.querySelectorAll('.fg')].map(element => ({
      element, x: Number(element.dataset.x), w: Number(element.dataset.w), d: Number(element.dataset.d),
      name: (tips.get(element.firstElementChild) || '').split('\n')[0],
    }));
    const reset = figure.querySelector('.reset'), search = figure.querySelector('input');
    const output = figure.querySelector('output');
    const zoom = target => {
      const scale = 100 / target.w;
      for (const box of boxes) {
        const inside = box.x >= target.x - 0.0005 && box.x + box.w <= target.x + target.w + 0.0005;
        const above = box.d < target.d && box.x <= target.x + 0.0005 && box.x + box.w >= target.x + target.w - 0.0005;
        const { element } = box;
        element.style.display = inside && box.d >= target.d || above ? '' : 'none';
        element.classList.toggle('above', above);
        element.setAttribute('x', above ? '0%' : (box.x - target.x) * scale + '%');
        element.setAttribute('width', above ? '100%' : box.w * scale + '%');
        let label = element.querySelector('text');
        if (!label && inside && box.w * scale > 1.2) {
          label = document.createElementNS(element.namespaceURI, 'text');
          label.setAttribute('x', '4');
          label.setAttribute('y', '12.5');
          label.setAttribute('class', 'on ' + element.firstElementChild.getAttribute('class').replace('bar ', ''));
          label.textContent = box.name;
          element.append(label);
        }
      }
      reset.disabled = target.w >= 99.999;
    };
    for (const box of boxes) box.element.addEventListener('click', () => { tip.hidden = true; zoom(box); });
    reset.addEventListener('click', () => zoom({ x: 0, w: 100, d: 0 }));
    search.addEventListener('input', () => {
      const wanted = search.value.trim().toLowerCase();
      let end = -1, sum = 0;
      for (const box of boxes) {
        const hit = wanted !== '' && box.name.toLowerCase().includes(wanted);
        box.element.classList.toggle('hit', hit);
        box.element.classList.toggle('dim', wanted !== '' && !hit);
        // Boxes come parents first: what lies inside a hit is counted already.
        if (hit && box.x >= end - 0.0005) { sum += box.w; end = box.x + box.w; }
      }
      output.textContent = wanted === '' ? '' : 'in ' + sum.toFixed(1) + '\u202f% of the time';
    });
  });

  each('.copy', button => button.addEventListener('click', async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    } catch {
      // A page opened from a file may not write the clipboard: select the text instead.
      getSelection().selectAllChildren(code);
      button.textContent = 'Press Ctrl+C';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1800);
  }));

  // Where the reader is, in the contents.
  const links = new Map();
  each('.toc li a', link => links.set(link.hash.slice(1), link));
  const sections = [...document.querySelectorAll('section[id]')];
  const mark = () => {
    let here = null;
    for (const section of sections) if (section.getBoundingClientRect().top < innerHeight * 0.3) here = section;
    links.forEach(link => link.classList.remove('here'));
    if (here) links.get(here.id)?.classList.add('here');
  };
  document.addEventListener('scroll', mark, { passive: true });
  mark();

  // On paper every table is open.
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not([open])')];
    closed.forEach(element => { element.open = true; });
  });
  addEventListener('afterprint', () => closed.forEach(element => { element.open = false; }));
})();
