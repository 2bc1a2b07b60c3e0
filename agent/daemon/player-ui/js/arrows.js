/* Arrows of a remote control or a keyboard lead from button to button by where they stand on the screen; Escape leads back.
   What plays has keys of its own: see stage.js. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  /* Keys on the page are out of the way of Tab, and in the way of arrows. */
  var WHAT = 'a[href], button, input, .tap, [tabindex="0"]';
  var LAYERS = ['.urgent', '.desk', '.sheet'];
  /* Where one begins, best first. */
  var FIRST = ['.hero-go', '.search-input', '.button-primary', '.card', '.tile', '.item-row', 'button'];

  function layer() {
    var i, found;
    for (i = 0; i < LAYERS.length; i += 1) {
      found = document.querySelector(LAYERS[i]);
      if (found && found.offsetParent !== undefined && found.getBoundingClientRect().width) { return found; }
    }
    return document.body;
  }

  function visible(element) {
    var box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && !element.disabled ? box : null;
  }

  function begin(inside) {
    var view = inside.querySelector('.view') || inside, i, found;
    for (i = 0; i < FIRST.length; i += 1) {
      found = [].filter.call(view.querySelectorAll(FIRST[i]), visible)[0];
      if (found) { found.focus(); return true; }
    }
    return false;
  }

  /* How far apart two stretches are; 0 where they overlap. */
  function apart(a1, a2, b1, b2) { return Math.max(0, Math.max(a1, b1) - Math.min(a2, b2)); }

  function walk(inside, from, way) {
    var here = from.getBoundingClientRect(), best = null, least = Infinity;
    [].forEach.call(inside.querySelectorAll(WHAT), function (one) {
      var box = one === from || one.contains(from) || from.contains(one) ? null : visible(one), along, across;
      if (!box) { return; }
      if (way[0]) {
        along = way[0] > 0 ? box.left - here.right : here.left - box.right;
        across = apart(here.top, here.bottom, box.top, box.bottom);
      } else {
        along = way[1] > 0 ? box.top - here.bottom : here.top - box.bottom;
        across = apart(here.left, here.right, box.left, box.right);
      }
      /* Beyond this one's edge, give or take a shadow. */
      if (along < -4) { return; }
      /* Left and right stay in their row as long as there is something in it. */
      along += way[0] ? (across ? 100000 + across * 8 : 0) : across * 2;
      if (along < least) { least = along; best = one; }
    });
    if (best) { best.focus(); }
    return !!best;
  }

  /* True when the key was meant for it. */
  BBT.arrows = function (event) {
    var way = WAYS[event.key], inside, from = document.activeElement, back;
    if (event.key === 'Escape' || event.key === 'GoBack' || event.key === 'BrowserBack') {
      back = document.querySelector('.dock .button-back, .dock .button-home');
      if (back) { back.click(); }
      return !!back;
    }
    if (!way || (from && from.tagName === 'INPUT' && way[0] && from.value)) { return false; }
    inside = layer();
    if (!from || from === document.body || !inside.contains(from) || !visible(from)) { return begin(inside); }
    return walk(inside, from, way);
  };
}());
