import re,math
import numpy as np
WORD=re.compile(r"[a-z]+(?:'[a-z]+)?|\d+|\\[a-z]+")
OPT=re.compile(r"^\(?[A-J][.):] ",re.M)
def edges(t,n=2000): return t if len(t)<=2*n else t[:n]+"\n"+t[-n:]
def toks(p):
    out=[]
    for w in WORD.findall(edges(p).lower()):
        out.append("#%d"%min(len(w),5) if w[0].isdigit() else w)
    return out
NUM=re.compile(r"\d+(?:[.,]\d+)*")
def surface(p):
    v=edges(p); n=max(1,len(v))
    o=OPT.search(v); stem=v[:o.start()] if o else v; opts=v[o.start():] if o else ""
    no=len(OPT.findall(v))
    w=re.findall(r"[^\W\d_]+",v); nw=max(1,len(w))
    nums=NUM.findall(stem)
    big=max((len(x.replace(",","").split(".")[0]) for x in nums),default=0)
    caps=len(re.findall(r"(?<=[a-z,;] )[A-Z][a-z]+",v))
    sents=len(re.findall(r"[.!?](?:\s|$)",stem))
    ops=len(re.findall(r"[-+*/^=<>]",v))
    return [math.log1p(len(p)),math.log1p(nw),no/10,math.log1p(len(opts)/max(1,no)),math.log1p(len(nums)),min(big,8)/8,
      sum(c.isdigit() for c in v)/n,sum(c.isdigit() for c in opts)/max(1,len(opts)),math.log1p(ops),ops/n,
      float("\\" in v and "$" in v),math.log1p(v.count("\\")),math.log1p(caps),caps/nw,math.log1p(sents),sum(map(len,w))/nw,
      len(set(x.lower() for x in w))/nw,float("?" in stem),float(bool(re.search(r"^\s*(def|class|import|for|if|return) ",v,re.M))),
      math.log1p(v.count("\n")),v.count("\n")/n,math.log1p(len(re.findall(r"[(\[{]",v))),sum(len(x)>=9 for x in w)/nw,float("```" in v),
      float("____" in v), math.log1p(len(re.findall(r"\b(?:not|except|never|least|incorrect|false)\b",stem,re.I)))]
